//! The picture: time, memory and calls over the number of objects, both axes logarithmic, so that what grows with the
//! work is a straight line of the same slope everywhere.

use std::fmt::Write as _;

use crate::report::{Report, Run};

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 92.0;
const GAP: f64 = 76.0;
const BOTTOM: f64 = 44.0;
const COLOURS: [&str; 4] = ["#0969da", "#8c959f", "#bc4c00", "#1a7f37"];

/// A line of a panel.
struct Series<'a> {
    label: &'a str,
    value: &'a dyn Fn(&Run) -> Option<f64>,
}

/// Draws the groups, with lists that take as long as on a real server where that was measured.
pub(crate) fn draw(report: &Report) -> String {
    let of_groups = || report.runs.iter().filter(|run| run.mix == "groups");
    let list_ms = of_groups().map(|run| run.list_ms).fold(0.0, f64::max);
    let runs: Vec<&Run> = of_groups()
        .filter(|run| run.list_ms.total_cmp(&list_ms).is_eq())
        .collect();
    let panels: [(&str, Vec<Series<'_>>); 3] = [
        (
            "Seconds",
            vec![
                series("declared → all Ready", &|run| run.declared.seconds),
                series("the same writes by bare clients", &|run| {
                    Some(run.declared.floor?.seconds)
                }),
                series("started again → all confirmed", &|run| {
                    run.restarted.as_ref()?.seconds
                }),
                series("deleted → all gone", &|run| run.deleted.as_ref()?.seconds),
            ],
        ),
        (
            "Memory at most, MiB",
            vec![
                series("declared", &|run| Some(run.declared.peak_mib)),
                series("started again", &|run| Some(run.restarted.as_ref()?.peak_mib)),
                series("deleted", &|run| Some(run.deleted.as_ref()?.peak_mib)),
            ],
        ),
        (
            "Calls to Coder while all become Ready",
            vec![
                series("writes", &|run| Some(count(run.declared.coder.writes))),
                series("reads", &|run| Some(count(run.declared.coder.reads))),
                series("of these lists of groups", &|run| {
                    Some(count(run.declared.coder.lists_of_groups))
                }),
            ],
        ),
    ];
    let width = LEFT + 3.0 * WIDTH + 2.0 * GAP + 20.0;
    let height = TOP + HEIGHT + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\" fill=\"#1f2328\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let mut left = LEFT;
    for (title, series) in &panels {
        panel(&mut svg, left, title, series, &runs);
        left += WIDTH + GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

fn series<'a>(label: &'a str, value: &'a dyn Fn(&Run) -> Option<f64>) -> Series<'a> {
    Series { label, value }
}

#[allow(clippy::cast_precision_loss, reason = "no such number of calls")]
fn count(calls: u64) -> f64 {
    calls as f64
}

/// The decades that hold all of these values.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let logs = values.filter(|value| *value > 0.0).map(f64::log10);
    let (low, high) = logs.fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(log), high.max(log)));
    if low > high {
        return (0.0, 1.0);
    }
    (low.floor(), high.ceil().max(low.floor() + 1.0))
}

fn panel(svg: &mut String, left: f64, title: &str, lines: &[Series<'_>], runs: &[&Run]) {
    #[allow(clippy::cast_precision_loss, reason = "no such number of objects")]
    let objects = |run: &Run| run.objects as f64;
    let points: Vec<Vec<(f64, f64)>> = lines
        .iter()
        .map(|line| {
            let values = runs.iter().filter_map(|run| Some((objects(run), (line.value)(run)?)));
            values.filter(|(_, value)| *value > 0.0).collect()
        })
        .collect();
    let across = decades(runs.iter().map(|run| objects(run)));
    let up = decades(points.iter().flatten().map(|(_, value)| *value));
    let x = |value: f64| left + (value.log10() - across.0) / (across.1 - across.0) * WIDTH;
    let y = |value: f64| TOP + HEIGHT - (value.log10() - up.0) / (up.1 - up.0) * HEIGHT;
    // Writing to a String cannot fail.
    let _ = writeln!(svg, "<text x=\"{left}\" y=\"18\" font-weight=\"bold\">{title}</text>");
    let mut exponent = up.0;
    while exponent <= up.1 {
        let (value, at) = (10_f64.powf(exponent), y(10_f64.powf(exponent)));
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {at:.1}h{WIDTH}\" stroke=\"#d1d9e0\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\">{value}</text>",
            left - 6.0,
            at + 4.0
        );
        exponent += 1.0;
    }
    let mut exponent = across.0;
    while exponent <= across.1 {
        let (value, at) = (10_f64.powf(exponent), x(10_f64.powf(exponent)));
        let _ = writeln!(
            svg,
            "<path d=\"M{at:.1} {TOP}v{HEIGHT}\" stroke=\"#d1d9e0\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{value}</text>",
            TOP + HEIGHT + 18.0
        );
        exponent += 1.0;
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">objects</text>",
        left + WIDTH / 2.0,
        TOP + HEIGHT + 36.0
    );
    let mut legend = 34.0;
    for ((line, points), colour) in lines.iter().zip(&points).zip(COLOURS) {
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {:.1}h18\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{:.1}\" y=\"{legend}\">{}</text>",
            legend - 4.0,
            left + 24.0,
            line.label
        );
        legend += 15.0;
        let path: Vec<String> = points
            .iter()
            .map(|(across, up)| format!("{:.1},{:.1}", x(*across), y(*up)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for (across, up) in points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                x(*across),
                y(*up)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Step;

    fn run(objects: usize, seconds: Option<f64>) -> Run {
        let declared = Step {
            seconds,
            floor: Some(crate::report::Floor {
                seconds: 1.0,
                busy: crate::processors::Busy::default(),
            }),
            busy: crate::processors::Busy::default(),
            peak_mib: 50.0,
            mib: 40.0,
            coder: crate::counts::Calls::default(),
            kubernetes: crate::counts::Writes::default(),
        };
        Run {
            mix: "groups".to_owned(),
            objects,
            list_ms: 0.0,
            declared,
            restarted: None,
            idle: None,
            deleted: None,
        }
    }

    #[test]
    fn every_value_has_a_point_inside_of_its_panel_and_what_is_missing_or_zero_has_none() {
        let mut report = Report::on_this_machine();
        report.runs = vec![run(100, Some(2.0)), run(1000, Some(30.0)), run(10_000, None)];
        let svg = draw(&report);
        // Two times, three floors, three memories; no calls at all.
        assert_eq!(svg.matches("<circle").count(), 8);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        for part in svg.split("cy=\"").skip(1) {
            let y: f64 = part
                .split('"')
                .next()
                .and_then(|it| it.parse().ok())
                .unwrap_or_default();
            assert!((TOP..=TOP + HEIGHT).contains(&y), "{y}");
        }
        assert!(draw(&Report::on_this_machine()).ends_with("</svg>\n"));
    }
}
