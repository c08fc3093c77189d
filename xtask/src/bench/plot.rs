//! Plots, as SVG documents.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::shell::{Context as _, Result};

/// Width and height, in pixels.
const SIZE: (u32, u32) = (760, 420);

const FONT: &str = "sans-serif";

/// Something with a name somewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) name: &'static str,
    pub(super) x: f64,
    pub(super) y: f64,
}

/// Points with their names, the cost upward on a logarithmic scale.
pub(super) fn points(title: &str, axes: (&str, &str), points: &[Point]) -> Result<String> {
    let (left, right) = bounds(points.iter().map(|point| point.x));
    let (bottom, top) = bounds(points.iter().map(|point| point.y));
    let x = left - 0.02..right + 0.25 * (right - left) + 0.02;
    let y = (bottom * 0.7..top * 1.4).log_scale();
    draw(title, axes, x, y, |chart| {
        chart.draw_series(points.iter().enumerate().map(|(index, point)| {
            // Neighbours' names are not to lie on each other.
            let down = if index % 2 == 0 { -12 } else { 2 };
            EmptyElement::at((point.x, point.y))
                + Circle::new((0, 0), 4, color(index).filled())
                + Text::new(point.name, (8, down), (FONT, 13).into_font())
        }))?;
        Ok(())
    })
}

/// A line through the points of each series, from nothing upward.
pub(super) fn lines(
    title: &str,
    axes: (&str, &str),
    series: &[(&str, Vec<(f64, f64)>)],
) -> Result<String> {
    let all = || series.iter().flat_map(|(_, points)| points);
    let (left, right) = bounds(all().map(|point| point.0));
    let (_, top) = bounds(all().map(|point| point.1));
    draw(title, axes, left..right, 0.0..top * 1.1, |chart| {
        for (index, (name, points)) in series.iter().enumerate() {
            let color = color(index);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
                .label(*name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2))
                });
            chart.draw_series(points.iter().map(|&at| Circle::new(at, 3, color.filled())))?;
        }
        let mut labels = chart.configure_series_labels();
        labels.background_style(WHITE).border_style(BLACK.mix(0.3)).label_font((FONT, 13)).draw()
    })
}

fn color(index: usize) -> RGBColor {
    const COLORS: [RGBColor; 5] = [
        RGBColor(0x1b, 0x6c, 0xa8),
        RGBColor(0xc4, 0x43, 0x2b),
        RGBColor(0x2e, 0x7d, 0x4f),
        RGBColor(0x7a, 0x4f, 0xa3),
        RGBColor(0xa8, 0x7a, 0x1b),
    ];
    COLORS[index % COLORS.len()]
}

/// A chart around what `series` draws.
fn draw<X, Y>(
    title: &str,
    (below, beside): (&str, &str),
    x: X,
    y: Y,
    series: impl for<'s> FnOnce(
        &mut ChartContext<'s, SVGBackend<'s>, Cartesian2d<X::CoordDescType, Y::CoordDescType>>,
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>>,
) -> Result<String>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut svg = String::new();
    let drawn = (|| {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, (FONT, 17))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(x, y)?;
        let number = |value: &f64| format!("{value:.2}");
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(below).y_desc(beside).x_label_formatter(&number).y_label_formatter(&number);
        mesh.light_line_style(WHITE).bold_line_style(BLACK.mix(0.12)).label_style((FONT, 13));
        mesh.draw()?;
        series(&mut chart)?;
        area.present()
    })();
    drawn.map_err(|error| error.to_string()).context("cannot draw a plot")?;
    Ok(svg)
}

/// The least and the greatest.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
        (least.min(value), most.max(value))
    })
}
