# Figures of matplotlib, a part of the driver: a backend by which they are shown, and what is drawn in them as JSON.
#
#   describe(figure)  ─▶  {"type": "line", "title": …, "elements": [{"label": …, "points": [[x, y], …]}], "x_label": …, …}
#
# One set of axes is a chart, several are a `composite_chart` of charts. What cannot be told is `unknown`: the picture has it.

BACKEND = "lazaret_figures"


class Backend:
    """Makes the backend's module when matplotlib asks for it, as what it is made of is matplotlib's. Releases differ in
    whether they look for a name as an attribute or in the module's own dictionary, so it is a module like any other."""

    def __init__(self, show):
        self.show = show

    def find_spec(self, name, path=None, target=None):
        return type(os.__spec__)(name, self) if name == BACKEND else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        remember_boxes()
        module.FigureCanvas, module.show = FigureCanvasAgg, self.show


def offer_backend(show):
    """Has pyplot show its figures with `show`. Who chose another backend keeps it."""
    sys.meta_path.append(Backend(show))
    os.environ.setdefault("MPLBACKEND", "module://" + BACKEND)


# Beyond so many bytes a description would only be the data once more.
DRAWING_MAX = 1 << 20


def describe(figure):
    """The description in UTF-8; empty if there is none, or if it is too long."""
    import json

    try:
        charts = [chart for chart in map(chart_of, figure.axes) if chart is not None]
        if len(charts) == 1:
            chart = charts[0]
        elif charts:
            title = figure._suptitle.get_text() if figure._suptitle is not None else ""
            chart = {"type": "composite_chart", "title": title, "elements": charts}
        else:
            return b""
        text = json.dumps(chart, allow_nan=False).encode("utf-8", "replace")
        return text if len(text) <= DRAWING_MAX else b""
    except Exception:
        return b""  # Somebody's own kind of axes: the picture is what there is to show.


def chart_of(axes):
    from matplotlib.collections import PathCollection
    from matplotlib.container import BarContainer
    from matplotlib.patches import Wedge

    boxes = getattr(axes, "_lazaret_boxes", None)
    wedges = [patch for patch in axes.patches if isinstance(patch, Wedge)]
    bars = [container for container in axes.containers if isinstance(container, BarContainer)]
    scatters = [drawn for drawn in axes.collections if isinstance(drawn, PathCollection)]
    if boxes:
        kind, elements = "box_and_whisker", list(map(box, boxes))
    elif wedges:
        kind, elements = "pie", list(map(wedge, wedges))
    elif bars:
        kind, elements = "bar", [element for container in bars for element in bars_of(axes, container)]
    elif scatters:
        kind, elements = "scatter", [series(drawn, drawn.get_offsets()) for drawn in scatters]
    elif axes.lines:
        kind, elements = "line", [series(line, line.get_xydata()) for line in axes.lines]
    elif axes.images or axes.collections or axes.patches:
        kind, elements = "unknown", []
    else:
        return None
    chart = {"type": kind, "title": axes.get_title(), "elements": elements}
    if kind != "pie":
        chart.update(axis("x", axes.xaxis), **axis("y", axes.yaxis))
    return chart


def axis(name, axis):
    return {
        f"{name}_label": axis.get_label_text(),
        f"{name}_scale": axis.get_scale(),
        f"{name}_ticks": numbers(axis.get_ticklocs()),
        f"{name}_tick_labels": [label.get_text() for label in axis.get_ticklabels()],
    }


def numbers(values):
    """As JSON has them: finite."""
    return [value for value in map(float, values) if value - value == 0]


def label(drawn):
    """What its maker has called it; matplotlib's own names begin with an underscore."""
    text = str(drawn.get_label() or "")
    return "" if text.startswith("_") else text


def series(drawn, points):
    pairs = (numbers(point) for point in points)
    return {"label": label(drawn), "points": [pair for pair in pairs if len(pair) == 2]}


def wedge(patch):
    return {"label": label(patch), "angle": abs(float(patch.theta2 - patch.theta1)), "radius": float(patch.r)}


def bars_of(axes, container):
    across = getattr(container, "orientation", "vertical") == "horizontal"
    its_axis = axes.yaxis if across else axes.xaxis
    ticks = [(float(at), tick.get_text()) for at, tick in zip(its_axis.get_ticklocs(), its_axis.get_ticklabels())]
    for patch in container.patches:
        value, width = (patch.get_width(), patch.get_height()) if across else (patch.get_height(), patch.get_width())
        begin = patch.get_y() if across else patch.get_x()
        middle = float(begin + width / 2)
        # The tick that stands under the bar, if one does: its text is the name of a category.
        under = min(ticks, key=lambda tick: abs(tick[0] - middle), default=None)
        named = under is not None and under[1] and abs(under[0] - middle) <= abs(float(width)) / 2
        name = under[1] if named else f"{middle:g}"
        yield {"label": name, "group": label(container), "value": f"{float(value):g}"}


def box(stats):
    return {
        "label": str(stats.get("label", "")),
        "min": float(stats["whislo"]),
        "first_quartile": float(stats["q1"]),
        "median": float(stats["med"]),
        "third_quartile": float(stats["q3"]),
        "max": float(stats["whishi"]),
        "outliers": numbers(stats.get("fliers", ())),
    }


def remember_boxes():
    """Boxes are drawn as lines that nobody can tell from others: their figures are kept beside them."""
    import functools

    from matplotlib.axes import Axes

    draw = Axes.bxp

    @functools.wraps(draw)
    def bxp(self, bxpstats, *args, **kw):
        self._lazaret_boxes = [*getattr(self, "_lazaret_boxes", ()), *bxpstats]
        return draw(self, bxpstats, *args, **kw)

    Axes.bxp = bxp
