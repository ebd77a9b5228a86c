//! Charts as SVG, for light and dark pages: lines over a logarithmic or linear axis, and bars with their spread.
//!
//! The colours are Okabe and Ito's, which colour-blind readers can tell apart; each series has a mark of its own as well.
//! Text and axes take the page's colour by the style sheet in `page.rs`.

use std::ops::Range;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::data::Spread;

/// Okabe and Ito (2008), "Color Universal Design"; black is left to the page.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(150, 140, 30),
];

/// Grid and spread, on a light page and on a dark one.
const GREY: RGBColor = RGBColor(128, 128, 128);

/// The size of all text: legible where the page is as narrow as a phone.
const TEXT: i32 = 15;

/// A curve with the spread of each point.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, Spread)>,
}

/// A bar; `None` says why there is no figure.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) figure: Option<Spread>,
    /// The project's own, which is drawn in another colour.
    pub(crate) is_ours: bool,
}

/// An axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis<'a> {
    pub(crate) label: &'a str,
    pub(crate) is_logarithmic: bool,
}

const WIDTH: u32 = 760;

/// What the names of the series take of it, at the right.
const LEGEND_WIDTH: u32 = 130;

/// Lines with marks and spread. `None` if no series has a point.
pub(crate) fn lines(series: &[Series], x: Axis<'_>, y: Axis<'_>) -> Option<String> {
    let points = || series.iter().flat_map(|series| &series.points);
    let xs = range(points().map(|point| point.0), x.is_logarithmic)?;
    let ys = range(points().flat_map(|point| [point.1.low, point.1.high]), y.is_logarithmic)?;
    let drawn = match (x.is_logarithmic, y.is_logarithmic) {
        (false, false) => draw_lines(series, x, y, xs, ys),
        (true, false) => draw_lines(series, x, y, xs.log_scale(), ys),
        (false, true) => draw_lines(series, x, y, xs, ys.log_scale()),
        (true, true) => draw_lines(series, x, y, xs.log_scale(), ys.log_scale()),
    };
    // The backend writes to a string, which cannot fail.
    Some(drawn.expect("a chart with points can be drawn"))
}

/// The axis' range with room at both ends; `None` of no values.
fn range(values: impl Iterator<Item = f64>, is_logarithmic: bool) -> Option<Range<f64>> {
    let usable = values.filter(|value| value.is_finite() && (!is_logarithmic || *value > 0.0));
    let ends = Spread::of(usable)?;
    Some(if is_logarithmic {
        ends.low / 1.4..ends.high * 1.4
    } else if ends.low == ends.high {
        ends.low - 1.0..ends.high + 1.0
    } else {
        let room = (ends.high - ends.low) * 0.06;
        let starts_at_zero = ends.low >= 0.0 && ends.low < ends.high / 2.0;
        (if starts_at_zero { 0.0 } else { ends.low - room })..ends.high + room
    })
}

fn draw_lines<X, Y>(
    series: &[Series],
    x: Axis<'_>,
    y: Axis<'_>,
    xs: X,
    ys: Y,
) -> Result<String, Box<dyn std::error::Error>>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, 400)).into_drawing_area();
        let (plot, legend) = area.split_horizontally(WIDTH - LEGEND_WIDTH);
        let mut chart = ChartBuilder::on(&plot)
            .margin(12)
            .x_label_area_size(46)
            .y_label_area_size(76)
            .build_cartesian_2d(xs, ys)?;
        chart
            .configure_mesh()
            .x_desc(x.label)
            .y_desc(y.label)
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value))
            .label_style(("sans-serif", TEXT))
            .axis_desc_style(("sans-serif", TEXT))
            .light_line_style(TRANSPARENT)
            .bold_line_style(GREY.mix(0.35))
            .draw()?;
        let text = ("sans-serif", TEXT).into_font().color(&BLACK);
        // A name beside no curve would be looked for in vain.
        for (index, series) in series.iter().filter(|series| !series.points.is_empty()).enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let style = colour.stroke_width(2);
            let curve = series.points.iter().map(|(x, spread)| (*x, spread.median));
            chart.draw_series(LineSeries::new(curve, style))?;
            legend.draw(
                &(EmptyElement::at((4, 24 + 22 * index as i32))
                    + PathElement::new(vec![(0, 0), (22, 0)], style)
                    + mark(index, 11, colour)
                    + Text::new(series.name.clone(), (28, 0), text.pos(Pos::new(HPos::Left, VPos::Center)))),
            )?;
            let spreads = series.points.iter().map(|(x, spread)| {
                PathElement::new(vec![(*x, spread.low), (*x, spread.high)], colour.mix(0.6).stroke_width(2))
            });
            chart.draw_series(spreads)?;
            let marks = series
                .points
                .iter()
                .map(|(x, spread)| EmptyElement::at((*x, spread.median)) + mark(index, 0, colour));
            chart.draw_series(marks)?;
        }
        area.present()?;
    }
    Ok(svg)
}

/// The mark of a series, around a point that is so far to the right: a shape of its own beside the colour.
fn mark(index: usize, right: i32, colour: RGBColor) -> Polygon<(i32, i32)> {
    let corners: &[(i32, i32)] = match index % 4 {
        0 => &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
        1 => &[(0, -5), (5, 4), (-5, 4)],
        2 => &[(0, -5), (5, 0), (0, 5), (-5, 0)],
        _ => &[(-5, -4), (5, -4), (0, 5)],
    };
    Polygon::new(corners.iter().map(|(x, y)| (x + right, *y)).collect::<Vec<_>>(), colour.filled())
}

/// Horizontal bars from the top, each with its name, figure and spread. `None` if there is none with a figure.
pub(crate) fn bars(bars: &[Bar], x: Axis<'_>) -> Option<String> {
    let figures = bars.iter().filter_map(|bar| bar.figure);
    let high = figures.map(|figure| figure.high).reduce(f64::max).filter(|high| *high > 0.0)?;
    let low = bars.iter().filter_map(|bar| bar.figure).map(|figure| figure.low).filter(|low| *low > 0.0);
    let drawn = if x.is_logarithmic {
        let low = low.reduce(f64::min)? / 2.0;
        draw_bars(bars, x, low, (low..high * 3.0).log_scale())
    } else {
        draw_bars(bars, x, 0.0, 0.0..high * 1.25)
    };
    Some(drawn.expect("bars with figures can be drawn"))
}

fn draw_bars<X>(bars: &[Bar], x: Axis<'_>, origin: f64, xs: X) -> Result<String, Box<dyn std::error::Error>>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
{
    let mut svg = String::new();
    {
        let count = bars.len();
        let height = 70 + 26 * u32::try_from(count)?;
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(46)
            .y_label_area_size(190)
            .build_cartesian_2d(xs, 0.0..count as f64)?;
        chart
            .configure_mesh()
            .x_desc(x.label)
            .x_label_formatter(&|value| number(*value))
            .y_labels(0)
            .label_style(("sans-serif", TEXT))
            .axis_desc_style(("sans-serif", TEXT))
            .light_line_style(TRANSPARENT)
            .bold_line_style(GREY.mix(0.35))
            .disable_y_mesh()
            .draw()?;
        let text = ("sans-serif", TEXT).into_font().color(&BLACK);
        for (index, bar) in bars.iter().enumerate() {
            let (top, bottom) = ((count - index) as f64 - 0.15, (count - index) as f64 - 0.85);
            let middle = (top + bottom) / 2.0;
            let name = text.pos(Pos::new(HPos::Right, VPos::Center));
            chart.draw_series([
                EmptyElement::at((origin, middle)) + Text::new(bar.name.clone(), (-8, 0), name)
            ])?;
            let side = text.pos(Pos::new(HPos::Left, VPos::Center));
            let Some(figure) = bar.figure else {
                chart
                    .draw_series([EmptyElement::at((origin, middle))
                        + Text::new("not measured".to_owned(), (6, 0), side)])?;
                continue;
            };
            let colour = COLOURS[usize::from(bar.is_ours)];
            chart.draw_series([Rectangle::new(
                [(origin, bottom), (figure.median, top)],
                colour.mix(0.75).filled(),
            )])?;
            let spread =
                PathElement::new(vec![(figure.low, middle), (figure.high, middle)], GREY.stroke_width(2));
            chart.draw_series([spread])?;
            let label = Text::new(number(figure.median), (6, 0), side);
            chart.draw_series([EmptyElement::at((figure.high, middle)) + label])?;
        }
        area.present()?;
    }
    Ok(svg)
}

/// A figure as a person writes it: three digits that count, `k` and `M` for thousands and millions.
pub(crate) fn number(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, " G"),
        size if size >= 1e6 => (value / 1e6, " M"),
        size if size >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINEAR: Axis<'static> = Axis { label: "offered rate", is_logarithmic: false };
    const LOGARITHMIC: Axis<'static> = Axis { label: "p99 in us", is_logarithmic: true };

    fn spread(median: f64) -> Spread {
        Spread { low: median * 0.9, median, high: median * 1.1 }
    }

    #[test]
    fn every_series_and_axis_is_in_the_chart() {
        let series = ["epoll", "fibers"].map(|name| Series {
            name: name.into(),
            points: vec![(10.0, spread(100.0)), (20.0, spread(5000.0))],
        });
        for (x, y) in
            [(LINEAR, LOGARITHMIC), (LOGARITHMIC, LINEAR), (LINEAR, LINEAR), (LOGARITHMIC, LOGARITHMIC)]
        {
            let svg = lines(&series, x, y).unwrap();
            for text in ["epoll", "fibers", x.label, y.label, "<polyline", "<polygon"] {
                assert!(svg.contains(text), "{text} in {svg}");
            }
        }
        assert!(lines(&[Series { name: "none".into(), points: vec![] }], LINEAR, LINEAR).is_none());
    }

    #[test]
    fn every_bar_is_in_the_chart_also_one_without_a_figure() {
        let all = [
            Bar { name: "threads".into(), figure: Some(spread(70_000.0)), is_ours: false },
            Bar { name: "absent".into(), figure: None, is_ours: true },
        ];
        for axis in [LINEAR, LOGARITHMIC] {
            let svg = bars(&all, axis).unwrap();
            for text in ["threads", "absent", "not measured", "70 k", "<rect"] {
                assert!(svg.contains(text), "{text} in {svg}");
            }
        }
        assert!(bars(&all[1..], LINEAR).is_none());
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        let expected = ["0", "0.012", "1.5", "12.3", "123", "1234", "12.3 k", "1.23 M", "1 G"];
        let values = [0.0, 0.012, 1.5, 12.34, 123.4, 1234.0, 12_340.0, 1.234e6, 1e9];
        assert_eq!(values.map(number), expected);
    }
}
