"""How the gallery looks, and in which order it is; the configuration names what is here."""

from pathlib import Path

from skem.inspection.drawing._axes import PALETTE

# Sections in their order, and in them examples; one that is not named comes last.
ORDER = {
    "mixtures": (
        "three_coins",
        "old_faithful",
        "em_acceleration",
        "choosing_by_bic",
        "missing_values",
        "semi_supervised",
        "anomaly_scores",
        "binarized_digits",
    ),
    "max_entropy": (
        "shop_and_die",
        "maxent_expectations",
        "unscaled_logistic_regression",
        "sparse_l1",
    ),
    "topics": ("topics_of_the_manual", "how_many_topics"),
    "networks": (
        "digits_vae",
        "class_controlled_digits",
        "vae_and_pca",
        "language_model_writes",
        "tagger",
        "hangul_to_latin",
    ),
    "pipelines": ("grid_search", "language_model_features"),
}


class InOrder:
    """Sort key of the examples of a section."""

    def __init__(self, src_dir: str):
        self.names = [f"plot_{name}.py" for name in ORDER.get(Path(src_dir).name, ())]

    def __call__(self, filename: str) -> int:
        """Place of a file."""
        return self.names.index(filename) if filename in self.names else len(self.names)


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
