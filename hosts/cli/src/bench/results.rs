//! What came out: ratios to the native run, means of groups.

use super::loads::{Group, Load};
use super::watch::{Measure, Outcome, Outcomes};

/// One side and what it measured.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) version: String,
    pub(super) outcomes: Outcomes,
}

/// All sides: the first is native, the second ours.
pub(super) struct Results {
    pub(super) columns: Vec<Column>,
    pub(super) loads: Vec<&'static Load>,
    /// Peers that are not here, and why.
    pub(super) absent: Vec<String>,
}

/// What a table shows of a load on a side.
#[derive(Debug, PartialEq)]
pub(super) enum Cell {
    /// Time in seconds, and its ratio to the reference.
    Time(f64, Option<f64>),
    /// It printed something else than it did natively.
    Wrong,
    /// It did not run to its end.
    Failed,
    /// It was not asked to.
    Nothing,
}

/// The peer that nothing may be slower than.
pub(super) const RIVAL: &str = "QEMU TCG";

impl Column {
    pub(super) fn new(name: &'static str, version: String) -> Self {
        Self { name, version, outcomes: Outcomes::new() }
    }

    /// Keeps the least of several runs.
    pub(super) fn merge(&mut self, outcomes: Outcomes) {
        for (name, new) in outcomes {
            let old = self.outcomes.remove(name);
            self.outcomes.insert(name, merged(old, new));
        }
    }

    fn measure(&self, load: &Load) -> Option<&Measure> {
        self.outcomes.get(load.name)?.as_ref().ok()
    }
}

fn merged(old: Option<Outcome>, new: Outcome) -> Outcome {
    match (old, new) {
        (Some(Ok(old)), Ok(new)) if old.output != new.output => Err("another output than before".to_owned()),
        (Some(Ok(old)), Ok(new)) if old.seconds(1) <= new.seconds(1) => Ok(old),
        (Some(Err(why)), _) => Err(why),
        (_, new) => new,
    }
}

impl Results {
    pub(super) fn rival(&self) -> Option<usize> {
        self.columns.iter().position(|column| column.name == RIVAL)
    }

    /// The column that a load's ratios are of: native, and QEMU for the boot, which has no native time.
    fn reference(&self, load: &Load) -> Option<usize> {
        if load.group == Group::Boot { self.rival() } else { Some(0) }
    }

    pub(super) fn cell(&self, load: &Load, column: usize) -> Cell {
        let side = &self.columns[column];
        let measure = match side.outcomes.get(load.name) {
            None => return Cell::Nothing,
            Some(Err(_)) => return Cell::Failed,
            Some(Ok(measure)) => measure,
        };
        let reference = self.reference(load).and_then(|column| self.columns[column].measure(load));
        let Some(reference) = reference else { return Cell::Time(measure.seconds(measure.count), None) };
        if measure.output != reference.output {
            return Cell::Wrong;
        }
        // Of what works as long as it pleases, the time of as much as the reference did is shown.
        let seconds = measure.seconds(reference.count);
        Cell::Time(seconds, Some(seconds / reference.seconds(reference.count).max(1e-6)))
    }

    fn ratio(&self, load: &Load, column: usize) -> Option<f64> {
        if let Cell::Time(_, ratio) = self.cell(load, column) { ratio } else { None }
    }

    /// Loads of a group that were asked for.
    pub(super) fn of(&self, group: Group) -> impl Iterator<Item = &'static Load> {
        self.loads.iter().copied().filter(move |load| load.group == group)
    }

    /// The geometric mean of a group's ratios on a side.
    pub(super) fn mean(&self, group: Group, column: usize) -> Option<f64> {
        let logs: Vec<f64> = self.of(group).filter_map(|load| Some(self.ratio(load, column)?.ln())).collect();
        (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
    }

    /// How many of a group's loads have no ratio on a side.
    pub(super) fn lacking(&self, group: Group, column: usize) -> usize {
        self.of(group).filter(|load| self.ratio(load, column).is_none()).count()
    }

    /// Loads of a group that take us longer than the rival.
    pub(super) fn slower(&self, group: Group) -> Vec<&'static str> {
        let Some(rival) = self.rival() else { return Vec::new() };
        let slower = |load: &&Load| match (self.ratio(load, 1), self.ratio(load, rival)) {
            (Some(ours), Some(theirs)) => ours > theirs,
            _ => false,
        };
        self.of(group).filter(slower).map(|load| load.name).collect()
    }

    /// What did not work, in words.
    pub(super) fn troubles(&self) -> Vec<String> {
        let mut troubles: Vec<String> = self.absent.clone();
        for (n, column) in self.columns.iter().enumerate() {
            for load in &self.loads {
                match (self.cell(load, n), column.outcomes.get(load.name)) {
                    (Cell::Wrong, _) => troubles
                        .push(format!("{}: {} printed something else than natively", column.name, load.name)),
                    (_, Some(Err(why))) => troubles.push(format!("{}: {}: {why}", column.name, load.name)),
                    _ => {}
                }
            }
        }
        troubles
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::loads::LOADS;
    use super::*;
    use std::time::Duration;

    fn measure(ms: u64, count: u64, output: &str) -> Outcome {
        Ok(Measure { time: Duration::from_millis(ms), count, output: output.to_owned() })
    }

    /// Native, ours and QEMU, with loads of two groups.
    pub(in super::super) fn example() -> Results {
        let loads: Vec<&Load> =
            LOADS.iter().filter(|load| ["gzip", "xz", "boot"].contains(&load.name)).collect();
        let column = |name, times: [Option<Outcome>; 3]| {
            let mut column = Column::new(name, format!("{name} 1.0"));
            for (name, outcome) in ["gzip", "xz", "boot"].into_iter().zip(times) {
                column.outcomes.extend(outcome.map(|outcome| (name, outcome)));
            }
            column
        };
        let columns = vec![
            column("native", [Some(measure(10, 1, "a")), Some(measure(10, 10, "b")), None]),
            column(
                "nomad86",
                [Some(measure(20, 1, "a")), Some(measure(40, 5, "b")), Some(measure(2400, 1, ""))],
            ),
            column(
                RIVAL,
                [Some(measure(80, 1, "wrong")), Some(measure(70, 10, "b")), Some(measure(4800, 1, ""))],
            ),
        ];
        Results { columns, loads, absent: vec!["v86 is absent: why".to_owned()] }
    }

    #[test]
    fn ratios_are_of_as_much_work_and_their_mean_is_geometric() {
        let results = example();
        let xz = results.loads.iter().find(|load| load.name == "xz").expect("it is there");
        assert_eq!(results.cell(xz, 1), Cell::Time(0.08, Some(8.0)));
        let mean = results.mean(Group::Integer, 1).expect("two ratios");
        assert!((mean - 4.0).abs() < 1e-9, "{mean}");
        assert_eq!(results.slower(Group::Integer), ["xz"]);
    }

    #[test]
    fn a_wrong_output_has_no_ratio_and_is_told() {
        let results = example();
        let gzip = results.loads.iter().find(|load| load.name == "gzip").expect("it is there");
        assert_eq!(results.cell(gzip, 2), Cell::Wrong);
        assert_eq!(results.lacking(Group::Integer, 2), 1);
        assert_eq!(
            results.troubles(),
            ["v86 is absent: why", "QEMU TCG: gzip printed something else than natively"]
        );
    }

    #[test]
    fn the_boot_is_compared_with_the_rivals() {
        let results = example();
        assert_eq!(results.mean(Group::Boot, 1), Some(0.5));
        assert_eq!(results.mean(Group::Boot, 2), Some(1.0));
    }

    #[test]
    fn the_least_of_several_runs_is_kept_unless_they_differ() {
        let mut column = Column::new("x", String::new());
        for (ms, count) in [(30, 1), (40, 2), (25, 1)] {
            column.merge(Outcomes::from([("gzip", measure(ms, count, "a"))]));
        }
        assert_eq!(column.outcomes["gzip"], measure(40, 2, "a"));
        column.merge(Outcomes::from([("gzip", measure(1, 1, "b"))]));
        column.merge(Outcomes::from([("gzip", measure(1, 1, "b"))]));
        assert!(column.outcomes["gzip"].is_err());
    }
}
