"""The picture is that of the weights, and its labels can be read in any script."""

import unicodedata

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skem import RNNSeq2Seq
from skem.inspection import AttentionDisplay
from skem.inspection.drawing._glyphs import Fonts, write

pytest.importorskip("matplotlib")

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib import font_manager

SMALL = {"hidden_size": 8, "embedding_dim": 4, "max_epochs": 2, "random_state": 0}
WORDS = ["한글", "사람", "나라", "하늘"]
JAMO = [unicodedata.normalize("NFD", word) for word in WORDS]
LATIN = ["hangeul", "saram", "nara", "haneul"]


def fitted(X, y, **parameters):
    return RNNSeq2Seq(**{**SMALL, **parameters}).fit(X, y)


@pytest.fixture(scope="module")
def korean():
    return fitted(JAMO, LATIN)


def labels(display):
    """Texts along both axes, after a picture has been made of them without a warning."""
    display.figure_.canvas.draw()
    return [
        [label.get_text() for label in axis.get_ticklabels()]
        for axis in (display.ax_.xaxis, display.ax_.yaxis)
    ]


def one_label(token, **fonts):
    """What is drawn for a token, and in which font."""
    with mpl.rc_context(fonts):
        text, file = Fonts().label(token)
        figure = plt.figure()
        label = figure.text(0.5, 0.5, text)
        write([label], [file])
        figure.canvas.draw()  # a glyph that the font does not have is a warning
        assert file is None or font_manager.findfont(label.get_font()) == file
    return text, file


@pytest.fixture
def font_of(tmp_path):
    """A function that makes a font with a box for each character, which matplotlib knows."""
    pytest.importorskip("fontTools")
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    known, ttflist = [], font_manager.fontManager.ttflist

    def make(name, characters, empty=""):
        builder = FontBuilder(1000, isTTF=True)
        names = [".notdef", *(f"u{ord(c):04X}" for c in characters + empty)]
        builder.setupGlyphOrder(names)
        builder.setupCharacterMap({ord(c): f"u{ord(c):04X}" for c in characters + empty})
        pen = TTGlyphPen(None)
        for move, point in (
            (pen.moveTo, (50, 0)),
            (pen.lineTo, (50, 700)),
            (pen.lineTo, (550, 700)),
        ):
            move(point)
        pen.closePath()
        box, nothing = pen.glyph(), TTGlyphPen(None).glyph()
        blank = {f"u{ord(c):04X}" for c in empty}
        builder.setupGlyf({glyph: nothing if glyph in blank else box for glyph in names})
        builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 50)))
        builder.setupHorizontalHeader(ascent=800, descent=-200)
        builder.setupNameTable({"familyName": name, "styleName": "Regular"})
        builder.setupOS2(sTypoAscender=800, sTypoDescender=-200)
        builder.setupPost()
        path = tmp_path / f"{name}.ttf"
        builder.save(path)
        before = len(ttflist)
        font_manager.fontManager.addfont(path)
        known.extend(ttflist[before:])
        return str(path)

    yield make
    for font in known:
        ttflist.remove(font)


# ---------------------------------------------------------------------------------- what is drawn
def test_the_picture_is_attention_weights_of_the_pair(korean):
    display = AttentionDisplay.from_estimator(korean, JAMO[0], LATIN[0])
    (weights,) = korean.attention_weights(JAMO[:1], LATIN[:1])
    assert weights.shape == (len("hangeul") + 1, len(JAMO[0]))
    np.testing.assert_allclose(display.image_.get_array(), weights, atol=1e-6)
    np.testing.assert_allclose(display.weights.sum(axis=1), 1, atol=1e-6)
    assert display.image_.get_clim() == (0, 1)
    assert display.y_tokens == [*"hangeul", "</s>"]
    assert display.x_tokens == list(JAMO[0])
    assert display.ax_.yaxis.get_inverted()
    assert display.colorbar_.ax in display.figure_.axes
    _, down = labels(display)
    assert down == [*"hangeul", "</s>"]
    assert display.ax_.get_yticks().tolist() == list(range(8))


def test_without_y_it_is_that_of_the_prediction(korean):
    display = AttentionDisplay.from_estimator(korean, JAMO[1])
    (predicted,) = korean.predict(JAMO[1:2])
    assert "".join(display.y_tokens[:-1]) == predicted
    (weights,) = korean.attention_weights(JAMO[1:2])
    np.testing.assert_allclose(display.weights, weights, atol=1e-6)


def test_a_prediction_is_cut_as_the_model_writes_it():
    """Also where its tokens, put together, would be cut in another way."""

    def pairs(text):
        return [text[i : i + 2] for i in range(0, len(text), 2)]

    y = ["abba", "baab", "abab", "baba"] * 20
    model = fitted([*"abcd"] * 20, y, target_tokenizer=pairs, max_epochs=10)
    display = AttentionDisplay.from_estimator(model, "a")
    assert set(display.y_tokens[:-1]) <= {"ab", "ba"}
    np.testing.assert_allclose(display.weights, model.attention_weights(["a"])[0], atol=1e-6)


def test_an_empty_prediction_has_the_row_of_its_end():
    model = fitted(["ab", "ba", "aa", "bb"], [*"aabb"], max_epochs=1)
    for member in model.net_.module_.members:
        member.bias.data[model.target_vocabulary_.end] = 100.0
    display = AttentionDisplay.from_estimator(model, "abba")
    assert model.predict(["abba"]).tolist() == [""]
    assert display.weights.shape == (1, 4)
    assert labels(display) == [[*"abba"], ["</s>"]]
    given = AttentionDisplay.from_estimator(model, "abba", "")
    np.testing.assert_array_equal(given.weights, display.weights)


def test_integers_without_an_end_have_no_row_for_it():
    X = np.array([[0, 1, 2], [2, 1, 0], [1, 1, 2], [0, 0, 1]])
    model = fitted(X, X[:, ::-1])
    assert model.target_vocabulary_.end is None
    for x, y in (([0, 1, 2], [2, 1, 0]), (X[0], X[0, ::-1])):
        display = AttentionDisplay.from_estimator(model, x, y)
        assert labels(display) == [["0", "1", "2"], ["2", "1", "0"]]
        np.testing.assert_allclose(display.weights, model.attention_weights([x], [y])[0], atol=1e-6)
    predicted = AttentionDisplay.from_estimator(model, X[1])
    assert predicted.y_tokens == model.predict(X[1:2])[0].tolist()
    one = fitted(X, X[:, 0])
    assert labels(AttentionDisplay.from_estimator(one, X[0], 0))[1] == ["0"]
    assert labels(AttentionDisplay.from_estimator(one, X[0], X[0, 0]))[1] == ["0"]


def test_lists_of_tokens_and_tokens_that_fit_has_not_seen():
    model = fitted([["the", "cat"], ["a", "dog"]] * 2, [["die", "Katze"], ["ein", "Hund"]] * 2)
    display = AttentionDisplay.from_estimator(model, ("the", "bird", "cat"), ["die", "Katze"])
    assert labels(display) == [["the", "bird", "cat"], ["die", "Katze", "</s>"]]
    ids = fitted([[1, 2, 3], [3, 1]] * 2, [[7, 8], [9]] * 2)
    display = AttentionDisplay.from_estimator(ids, [1, 5, -1, 3, -1], [9, 7])
    assert labels(display) == [["1", "5", "-1", "3"], ["9", "7", "</s>"]]  # the last one pads


def test_words_are_cut_as_in_fit():
    model = fitted(["a cat sat.", "the dog ran!"] * 2, ["x", "y"] * 2, tokenizer="word")
    model.set_params(tokenizer="char")  # what is set after a fit changes nothing
    assert labels(AttentionDisplay.from_estimator(model, "the cat ran.", "x"))[0] == [
        *("the", "cat", "ran", "."),
    ]


def test_an_ensemble_has_the_mean_of_its_members():
    model = fitted(JAMO, LATIN, n_members=2)
    display = AttentionDisplay.from_estimator(model, JAMO[0], LATIN[0])
    np.testing.assert_allclose(
        display.weights, model.attention_weights(JAMO[:1], LATIN[:1])[0], atol=1e-6
    )


class AsJamo(FunctionTransformer):
    def __init__(self):
        super().__init__(lambda X: [unicodedata.normalize("NFD", text) for text in X])


def test_a_pipeline_and_a_search_cut_x_as_their_steps_do(korean):
    pipeline = make_pipeline(AsJamo(), RNNSeq2Seq(**SMALL)).fit(WORDS, LATIN)
    search = GridSearchCV(pipeline, {"rnnseq2seq__cell": ["lstm"]}, cv=[([0, 1, 2, 3], [0])])
    expected = AttentionDisplay.from_estimator(korean, JAMO[0], LATIN[0])
    for model in (pipeline, search.fit(WORDS, LATIN)):
        display = AttentionDisplay.from_estimator(model, WORDS[0], LATIN[0])
        assert display.x_tokens == expected.x_tokens
        np.testing.assert_allclose(display.weights, expected.weights, atol=1e-6)


# ---------------------------------------------------------------------------------- scripts
HANGUL, DEVANAGARI = "\u1112\u1161\u11ab", "न\u094dम"


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("a", "a"),
        ("ش", "ش"),
        ("عربي", "عربي"),
        ("$x_$", "$x_$"),
        ("new york", "new york"),
        (" ", "␣"),
        (" a ", "␣a␣"),
        ("", "''"),
        ("\n", "U+000A"),
        ("a\tb", "a U+0009 b"),
        ("\u00a0", "U+00A0"),
        ("\u200d", "U+200D"),
        ("\ufe0f", "U+FE0F"),
        ("\u0301", "◌\u0301"),
        (" \u0301", "␣◌\u0301"),
        ("e\u0301", "e\u0301"),
        ("\ud800", "U+D800"),
        ("\ue000", "U+E000"),
        ("x" * 40, "x" * 27 + "..."),
        (-1, "-1"),
    ],
)
def test_what_cannot_be_seen_is_shown(token, text):
    shown, file = one_label(token)
    assert shown == text
    assert file is None


@pytest.mark.parametrize("token", [*HANGUL, *DEVANAGARI, "🦊", "한", "नम", "a한b"])
def test_what_no_font_has_is_a_code_point(token, monkeypatch):
    manager = font_manager.fontManager
    own = [font for font in manager.ttflist if font.name.startswith(("DejaVu", "Last", "STIX"))]
    monkeypatch.setattr(manager, "ttflist", own)
    pieces = [c if c in "ab" else f"U+{ord(c):04X}" for c in token]
    assert one_label(token) == (" ".join(pieces), None)


@pytest.mark.parametrize("token", [*HANGUL, HANGUL, *"नम", "🦊🦊"])
def test_another_font_that_has_all_of_a_label_is_taken(token, font_of, monkeypatch):
    manager = font_manager.fontManager
    own = [font for font in manager.ttflist if font.name.startswith(("DejaVu", "Last"))]
    monkeypatch.setattr(manager, "ttflist", own)
    font_of("Part", HANGUL[0] + "न", empty="म🦊")  # one has glyphs that are not seen
    whole = font_of("Whole", HANGUL + DEVANAGARI + "🦊")
    text, file = one_label(token)
    assert text == token
    assert file.endswith("Whole.ttf" if token not in (HANGUL[0], "न") else "Part.ttf")
    assert one_label("abc") == ("abc", None)
    assert one_label("a" + token)[1] is None  # none has both
    assert one_label(token, **{"font.family": ["DejaVu Sans", "Whole"]}) == (token, whole)
    assert one_label(token, **{"font.family": ["Whole", "DejaVu Sans"]}) == (token, None)


def test_labels_of_a_picture_keep_their_fonts(font_of, tmp_path):
    path = font_of("AAA", "\U00011d0c")
    tokens = ["a", "\U00011d0c", "b"]
    display = AttentionDisplay(weights=np.eye(3), x_tokens=tokens, y_tokens=tokens).plot()
    for axis, across in zip((display.ax_.xaxis, display.ax_.yaxis), labels(display), strict=True):
        display.figure_.savefig(tmp_path / "again.png")
        files = [font_manager.findfont(label.get_font()) for label in axis.get_ticklabels()]
        assert across == tokens
        assert [file == path for file in files] == [False, True, False]


def test_a_mark_is_drawn_on_a_circle_in_the_font_that_has_both(font_of):
    path = font_of("AAA", "\U00011d31◌")  # of Masaram Gondi, which hardly a font has
    assert one_label("\U00011d31") == ("◌\U00011d31", path)


def test_code_points_are_written_in_a_font_that_can(font_of, monkeypatch):
    font_of("AAA", "\u1112")
    manager = font_manager.fontManager
    own = [font for font in manager.ttflist if font.name.startswith(("DejaVu", "Last", "AAA"))]
    monkeypatch.setattr(manager, "ttflist", own)
    text, file = one_label("\u1161", **{"font.family": "AAA"})
    assert text == "U+1161"
    assert "DejaVu" in file


def test_jamo_of_a_model_are_all_drawn(korean):
    across, _ = labels(AttentionDisplay.from_estimator(korean, JAMO[0]))
    for label, letter in zip(across, JAMO[0], strict=True):
        assert label in (letter, f"U+{ord(letter):04X}")


# ---------------------------------------------------------------------------------- legibility
@pytest.mark.parametrize(("n_x", "n_y"), [(1, 1), (3, 30), (30, 3), (150, 100)])
def test_a_new_figure_has_room_for_all_labels(n_x, n_y):
    display = AttentionDisplay(
        weights=np.full((n_y, n_x), 1 / n_x), x_tokens=["x"] * n_x, y_tokens=["mean"] * n_y
    ).plot()
    assert list(map(len, labels(display))) == [n_x, n_y]
    renderer = display.figure_.canvas.get_renderer()
    for ticks, side in ((display.ax_.get_xticklabels(), 0), (display.ax_.get_yticklabels(), 1)):
        boxes = np.array([tick.get_window_extent(renderer).extents for tick in ticks])
        boxes = boxes[np.argsort(boxes[:, side])]
        assert (boxes[1:, side] > boxes[:-1, side + 2] - 1).all()  # up to a pixel


def test_labels_are_left_out_where_they_could_not_be_read():
    _, ax = plt.subplots(figsize=(3, 3))
    display = AttentionDisplay(
        weights=np.full((2, 300), 1 / 300), x_tokens=range(300), y_tokens="ab"
    ).plot(ax, colorbar=False)
    across, down = labels(display)
    places = display.ax_.get_xticks()
    assert 5 < len(across) < 60
    assert across == [str(int(place)) for place in places]
    assert down == ["a", "b"]
    assert min(tick.get_fontsize() for tick in ax.get_xticklabels()) >= 5
    assert display.colorbar_ is None


# ---------------------------------------------------------------------------------- interface
def test_names_take_the_place_of_tokens(korean):
    names = [unicodedata.name(letter) for letter in JAMO[2]]
    display = AttentionDisplay.from_estimator(
        korean, JAMO[2], "nara", x_names=names, y_names=range(4)
    )
    assert display.x_tokens == names
    assert labels(display)[1] == [*"0123", "</s>"]
    with pytest.raises(ValueError, match="x_names holds 1 for 4 tokens of x: give one for each"):
        AttentionDisplay.from_estimator(korean, JAMO[2], x_names=["n"])
    with pytest.raises(ValueError, match="y_names holds 5 for 4 tokens of y: give one for each"):
        AttentionDisplay.from_estimator(korean, JAMO[2], "nara", y_names="nara.")


def test_axes_and_style_are_those_asked_for(korean):
    _, ax = plt.subplots()
    display = AttentionDisplay.from_estimator(
        korean, JAMO[0], ax=ax, colorbar=False, image_kw={"cmap": "viridis", "aspect": "equal"}
    )
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.image_.get_cmap().name == "viridis"
    assert display.figure_.axes == [ax]


def test_wrong_models_are_errors_that_name_the_way_out(korean):
    draw = AttentionDisplay.from_estimator
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(RNNSeq2Seq(), "a")
    with pytest.raises(TypeError, match="of a RNNSeq2Seq, and LinearRegression has none"):
        draw(LinearRegression().fit([[0], [1]], [0, 1]), "a")
    with pytest.raises(ValueError, match=r"attention=None: .*Fit with attention='dot' or 'bilin"):
        draw(fitted(JAMO, LATIN, attention=None), JAMO[0])
    with pytest.raises(ValueError, match="not in the vocabulary"):
        draw(korean, JAMO[0], "Q")
    with pytest.raises(TypeError, match="must hold strings"):
        draw(korean, None)


def test_wrong_data_are_errors():
    with pytest.raises(ValueError, match=r"weights must have shape .*; got \(3,\)"):
        AttentionDisplay(weights=[0.2, 0.3, 0.5], x_tokens="abc", y_tokens="a")
    with pytest.raises(ValueError, match=r"at least one of each; got \(0, 3\)"):
        AttentionDisplay(weights=np.empty((0, 3)), x_tokens="abc", y_tokens="")
    with pytest.raises(ValueError, match="x_tokens holds 2 for 3 columns: give one for each"):
        AttentionDisplay(weights=[[0.2, 0.3, 0.5]], x_tokens="ab", y_tokens="a")
    with pytest.raises(ValueError, match="y_tokens holds 2 for 1 rows: give one for each"):
        AttentionDisplay(weights=[[0.2, 0.3, 0.5]], x_tokens="abc", y_tokens="ab")
