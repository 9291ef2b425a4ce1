"""The canvas that plots share."""

from mlops_assets.core.report.plots import canvas, label_rows, panels, png


def test_a_plot_is_a_png_and_the_same_one_each_time():
    def draw():
        figure, axes = canvas("Title", "x", "y")
        axes.plot([1, 2], [3, 4])
        return png(figure)

    assert draw().startswith(b"\x89PNG") and draw() == draw()


def test_panels_are_as_many_as_titles_and_leave_no_empty_frame():
    figure, grid = panels(["a", "b", "c"], (2, 1), columns=2)
    assert [axes.get_title(loc="left") for axes in grid] == ["a", "b", "c"]
    assert len(figure.axes) == 3
    assert tuple(figure.get_size_inches()) == (4, 2)


def test_labelled_rows_begin_at_the_top():
    _, axes = canvas("Title", "", "")
    axes.barh(range(2), [1, 2])
    label_rows(axes, ["first", "second"])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["first", "second"]
    assert axes.yaxis_inverted()
