"""How the gallery looks, and in which order it is; the configuration names these functions."""


from skem.inspection._axes import PALETTE


def set_style(gallery_conf: dict, fname: str) -> None:
    """Give the figures of all examples the colours of the displays."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update({
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.dpi": 110,
        "savefig.dpi": 110,
    })  # fmt: skip
