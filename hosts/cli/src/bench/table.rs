//! Results as Markdown, laid out so that it reads well in a terminal too.

use super::loads::Group;
use super::results::{Cell, Results};
use std::fmt::Write;

/// Means of the groups with their goals.
pub(super) fn summary(results: &Results) -> String {
    let guests = &results.columns[1..];
    let mut rows = vec![vec!["CPU time, native = 1".to_owned(), "goal".to_owned()]];
    rows[0].extend(guests.iter().map(|column| column.name.to_owned()));
    rows[0].push("slower than QEMU".to_owned());
    for group in Group::ALL {
        if results.of(group).next().is_none() {
            continue;
        }
        let mut title = group.title().to_owned();
        let loads = results.of(group).count();
        if loads > 1 {
            let _ = write!(title, ", mean of {loads}");
        }
        let of_qemu = if group == Group::Boot { " of QEMU's" } else { "" };
        let mut row = vec![title, format!("≤ {:.1}{of_qemu}", group.goal())];
        for n in 1..results.columns.len() {
            let lacking = match results.lacking(group, n) {
                0 => String::new(),
                lacking => format!(" ({lacking} missing)"),
            };
            row.push(results.mean(group, n).map_or("–".to_owned(), |mean| format!("{mean:.2}{lacking}")));
        }
        row.push(match results.rival() {
            None => String::new(),
            Some(_) => results.slower(group).join(", "),
        });
        rows.push(row);
    }
    markdown(&rows)
}

/// Each load: times in milliseconds, and ratios.
pub(super) fn details(results: &Results) -> String {
    let mut rows = vec![vec!["load".to_owned(), "native ms".to_owned()]];
    for column in &results.columns[1..] {
        rows[0].extend([format!("{} ms", column.name), "×".to_owned()]);
    }
    for load in &results.loads {
        let mut row = vec![format!("{}: {}", load.group.name(), load.name)];
        for n in 0..results.columns.len() {
            let (time, ratio) = match results.cell(load, n) {
                Cell::Time(seconds, ratio) => {
                    (format!("{:.0}", seconds * 1000.0), ratio.map_or(String::new(), |r| format!("{r:.2}")))
                }
                Cell::Wrong => (String::new(), "WRONG".to_owned()),
                Cell::Failed => (String::new(), "FAILED".to_owned()),
                Cell::Nothing => (String::new(), String::new()),
            };
            row.push(if n == 0 && time.is_empty() { ratio.clone() } else { time });
            if n > 0 {
                row.push(ratio);
            }
        }
        rows.push(row);
    }
    markdown(&rows)
}

/// What did not work, and who was not there.
pub(super) fn troubles(results: &Results) -> String {
    results.troubles().iter().map(|trouble| format!("- {trouble}\n")).collect()
}

/// Everything, as a file.
pub(super) fn document(results: &Results, facts: &[String], plot: Option<&str>) -> String {
    let mut out = String::from("# nomad86 and its peers\n\n");
    for fact in facts.iter().chain(results.columns.iter().map(|column| &column.version)) {
        let _ = writeln!(out, "- {fact}");
    }
    let _ = write!(out, "\n{}\n", summary(results));
    if let Some(plot) = plot {
        let _ = writeln!(out, "![Times in relation to native ones]({plot})\n");
    }
    let _ = write!(out, "{}\n{}", details(results), METHOD);
    let troubles = troubles(results);
    if !troubles.is_empty() {
        let _ = write!(out, "\n## Absent, wrong or failed\n\n{troubles}");
    }
    out
}

const METHOD: &str = "\
Times are CPU time of this host: natively the kernel's account of the load's processes, in guests that of the whole
emulator process between the load's begin and end, which the guest marks on its serial line; the guest's clock is not
asked. The same binaries run everywhere, in the same tree, with the same input, and a load whose output differs from
the native one has no ratio. OpenSSL and the C library are told to use nothing beyond SSE2, natively too. Each start
of a side runs one group, sides take turns, and of repeated runs the least time counts. Groups are geometric means.
";

/// A table whose columns are padded: text to the left, numbers to the right.
fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    // The last may be a list.
    let left = |n: usize| n == 0 || rows[0][n].starts_with("slower");
    let mut out = String::new();
    for (line, row) in rows.iter().enumerate() {
        for (n, text) in row.iter().enumerate() {
            let pad = " ".repeat(widths[n] - text.chars().count());
            let _ = if left(n) { write!(out, "| {text}{pad} ") } else { write!(out, "| {pad}{text} ") };
        }
        out += "|\n";
        if line == 0 {
            for (n, width) in widths.iter().enumerate() {
                let rule = "-".repeat(width + 1);
                let _ = if left(n) { write!(out, "|{rule}-") } else { write!(out, "|{rule}:") };
            }
            out += "|\n";
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::example;
    use super::*;

    #[test]
    fn tables_are_markdown_with_ratios_goals_and_what_is_wrong() {
        let text = document(&example(), &["a fast machine".to_owned()], Some("plot.svg"));
        for part in [
            "- a fast machine\n",
            "- QEMU TCG 1.0\n",
            "| Integer (Debian's programs), mean of 2 |            ≤ 2.3 |    4.00 | 7.00 (1 missing) | xz ",
            "| Debian's boot to a shell              | ≤ 0.7 of QEMU's |    0.50 |",
            "](plot.svg)",
            "| WRONG |",
            "- v86 is absent: why\n",
        ] {
            let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(squeezed(&text).contains(&squeezed(part)), "{part} is not in\n{text}");
        }
        let widths: Vec<usize> = summary(&example()).lines().map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{widths:?}");
    }
}
