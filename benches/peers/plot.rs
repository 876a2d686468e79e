//! The plot: how long a list of ten takes, by how many objects there are. Both axes are logarithmic.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::report::Point;

/// The drawing, and the area within it.
const SIZE: (f64, f64) = (860.0, 420.0);
const AREA: (f64, f64, f64, f64) = (80.0, 30.0, 540.0, 330.0);
/// The powers of ten at the ends of the axes: objects, and microseconds.
const OBJECTS: (f64, f64) = (3.0, 6.0);
const MICROS: (f64, f64) = (2.0, 5.0);
/// Legible on white and on black.
const COLOURS: [&str; 4] = ["#2f81f7", "#8957e5", "#d1751f", "#c93c37"];
const GREY: &str = "#808080";

/// An SVG of the points; of several at one place the last one counts.
pub(crate) fn draw(points: &[Point]) -> String {
    let mut lines: BTreeMap<(&str, usize), BTreeMap<usize, &Point>> = BTreeMap::new();
    for point in points {
        let line = lines.entry((&point.server, point.clients)).or_default();
        line.insert(point.objects, point);
    }
    let mut out = String::new();
    let _ = writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" font-size="13">"#,
        SIZE.0, SIZE.1
    );
    let _ = writeln!(
        out,
        "<title>LIST of the 10 objects that the caller sees, by objects in all</title>"
    );
    axes(&mut out);
    for (index, ((server, clients), line)) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        for (dashes, latency) in [
            ("none", (|point| point.p50) as fn(&Point) -> f64),
            ("5 4", |point| point.p99),
        ] {
            let places: Vec<(f64, f64)> = line
                .values()
                .map(|point| (x((point.objects as f64).log10()), y(latency(point).log10())))
                .collect();
            let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(
                out,
                r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>"#,
                path.join(" ")
            );
            for (x, y) in places {
                let _ = writeln!(out, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#);
            }
        }
        let plural = if *clients == 1 { "" } else { "s" };
        let at = 50.0 + 22.0 * index as f64;
        text(
            &mut out,
            (635.0, at),
            "start",
            colour,
            &format!("{server}, {clients} client{plural}"),
        );
        let _ = writeln!(
            out,
            r#"<line x1="600" y1="{0}" x2="628" y2="{0}" stroke="{colour}" stroke-width="2"/>"#,
            at - 4.0
        );
    }
    out.push_str("</svg>\n");
    out
}

fn axes(out: &mut String) {
    let (left, top, width, height) = AREA;
    for power in 3..=6 {
        let at = x(f64::from(power));
        let _ = writeln!(
            out,
            r#"<line x1="{at}" y1="{top}" x2="{at}" y2="{}" stroke="{GREY}" stroke-opacity="0.3"/>"#,
            top + height
        );
        let label = ["1,000", "10,000", "100,000", "1,000,000"][power as usize - 3];
        text(out, (at, top + height + 20.0), "middle", GREY, label);
    }
    for power in 2..=5 {
        let at = y(f64::from(power));
        let _ = writeln!(
            out,
            r#"<line x1="{left}" y1="{at}" x2="{}" y2="{at}" stroke="{GREY}" stroke-opacity="0.3"/>"#,
            left + width
        );
        let label = ["0.1 ms", "1 ms", "10 ms", "100 ms"][power as usize - 2];
        text(out, (left - 8.0, at + 4.0), "end", GREY, label);
    }
    text(
        out,
        (left + width / 2.0, top + height + 42.0),
        "middle",
        GREY,
        "objects in all",
    );
    text(
        out,
        (left, top - 10.0),
        "start",
        GREY,
        "LIST of 10: median (line) and p99 (dashes)",
    );
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, colour: &str, text: &str) {
    let _ = writeln!(
        out,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{colour}">{text}</text>"#
    );
}

fn x(power: f64) -> f64 {
    let (left, _, width, _) = AREA;
    left + width * (power - OBJECTS.0) / (OBJECTS.1 - OBJECTS.0)
}

fn y(power: f64) -> f64 {
    let (_, top, _, height) = AREA;
    top + height * (MICROS.1 - power.clamp(MICROS.0, MICROS.1)) / (MICROS.1 - MICROS.0)
}
