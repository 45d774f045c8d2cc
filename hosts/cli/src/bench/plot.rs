//! The comparison as a picture: a bar for each group and side, on a logarithmic axis, with the goals.

use super::loads::Group;
use super::results::Results;
use std::fmt::Write;

const COLOURS: [&str; 4] = ["#2f6fb2", "#d9822b", "#7a9e3c", "#8a6fb0"];
const LEFT: f64 = 250.0;
const WIDTH: f64 = 900.0;
const RIGHT: f64 = 60.0;
const TOP: f64 = 62.0;
const BAR: f64 = 13.0;
const GAP: f64 = 14.0;

/// An SVG of the means; groups that nobody measured are left out.
pub(super) fn svg(results: &Results) -> String {
    let guests = 1..results.columns.len();
    // The boot has another unit.
    let groups: Vec<Group> = Group::ALL
        .into_iter()
        .filter(|&group| group != Group::Boot && guests.clone().any(|n| results.mean(group, n).is_some()))
        .collect();
    let means = groups.iter().flat_map(|&group| guests.clone().filter_map(move |n| results.mean(group, n)));
    let most = means.fold(10.0_f64, f64::max).min(1000.0);
    let decades = most.log10().max(1.0);
    let x = |ratio: f64| LEFT + (WIDTH - LEFT - RIGHT) * ratio.clamp(1.0, most).log10() / decades;
    let row = BAR * guests.len() as f64 + GAP;
    let bottom = TOP + row * groups.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {0}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{0}\" fill=\"white\"/>\n",
        bottom + 30.0
    );
    text(
        &mut out,
        10.0,
        20.0,
        "start",
        "CPU time in relation to the native run: less is better; the black marks are goals",
    );
    for (n, column) in results.columns.iter().enumerate().skip(1) {
        let at = 10.0 + 170.0 * (n - 1) as f64;
        rectangle(&mut out, (at, 32.0), (12.0, 12.0), COLOURS[(n - 1) % COLOURS.len()]);
        text(&mut out, at + 18.0, 42.0, "start", column.name);
    }
    for tick in [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0] {
        if tick <= most {
            rectangle(&mut out, (x(tick), TOP - 6.0), (0.7, bottom - TOP + 6.0), "#cccccc");
            text(&mut out, x(tick), bottom + 16.0, "middle", &format!("{tick} ×"));
        }
    }
    for (line, &group) in groups.iter().enumerate() {
        let top = TOP + row * line as f64;
        let middle = top + (row - GAP) / 2.0 + 4.0;
        text(&mut out, LEFT - 10.0, middle, "end", group.title());
        for n in guests.clone() {
            let Some(mean) = results.mean(group, n) else { continue };
            let y = top + BAR * (n - 1) as f64;
            let colour = COLOURS[(n - 1) % COLOURS.len()];
            rectangle(&mut out, (LEFT, y), ((x(mean) - LEFT).max(1.0), BAR - 2.0), colour);
            text(&mut out, x(mean) + 5.0, y + BAR - 3.0, "start", &format!("{mean:.1}"));
        }
        rectangle(&mut out, (x(group.goal()) - 1.0, top - 2.0), (2.0, row - GAP + 3.0), "black");
    }
    out + "</svg>\n"
}

fn rectangle(out: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
    );
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::example;
    use super::*;

    #[test]
    fn bars_are_as_long_as_logarithms_say() {
        let picture = svg(&example());
        // 4 of a decade: log 4 = 0.602 of 590 pixels.
        assert!(picture.contains("width=\"355.2\""), "{picture}");
        assert!(picture.contains("Integer (Debian's programs)") && picture.contains(">QEMU TCG<"));
        assert!(!picture.contains("boot"), "it has no native time");
        assert_eq!(picture.matches("<svg").count(), 1);
        assert!(picture.ends_with("</svg>\n"));
    }
}
