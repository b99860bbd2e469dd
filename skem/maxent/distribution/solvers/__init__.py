"""The dual problem: Newton steps, starts, inequalities, units, powers."""
