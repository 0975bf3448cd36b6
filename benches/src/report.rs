//! Figures side by side, and the targets they are held against.

use std::fmt;

/// The outcome of one comparison.
#[derive(Debug)]
pub(crate) struct Report {
    title: String,
    rows: Vec<Vec<String>>,
    checks: Vec<Check>,
}

#[derive(Debug)]
struct Check {
    what: String,
    value: f64,
    target: Target,
    unit: &'static str,
}

/// A bound that a figure is to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Report {
    pub(crate) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.into()).collect();
        Self { title: title.into(), rows: vec![columns], checks: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn check(&mut self, what: String, value: f64, unit: &'static str, target: Target) {
        self.checks.push(Check { what, value, target, unit });
    }

    /// Every target is met.
    pub(crate) fn is_good(&self) -> bool {
        self.checks.iter().all(Check::is_good)
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        (0..columns).map(|column| width(column).unwrap_or_default()).collect()
    }
}

impl Check {
    // A figure that is not a number meets no target.
    fn is_good(&self) -> bool {
        match self.target {
            Target::AtLeast(least) => self.value >= least,
            Target::AtMost(most) => self.value <= most,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}", self.title)?;
        let widths = self.widths();
        for row in &self.rows {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Names to the left, numbers to the right.
                if column == 0 {
                    write!(f, "  {cell:<width$}")?;
                } else {
                    write!(f, "  {cell:>width$}")?;
                }
            }
            writeln!(f)?;
        }
        for check in &self.checks {
            writeln!(f, "  {} {check}", if check.is_good() { "met   " } else { "MISSED" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, bound) = match self.target {
            Target::AtLeast(least) => ('≥', least),
            Target::AtMost(most) => ('≤', most),
        };
        let Self { what, value, unit, .. } = self;
        write!(f, "{what}: {value:.2} {unit} (target {sign} {bound})")
    }
}

/// Rounded to whole numbers, digits in groups of three.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        let left = digits.len() - at;
        if left % 3 == 0 && at > 0 && !out.ends_with('-') {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits() {
        assert_eq!(grouped(0.4), "0");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(1000.0), "1 000");
        assert_eq!(grouped(1_234_567.0), "1 234 567");
        assert_eq!(grouped(-123_456.0), "-123 456");
    }

    #[test]
    fn holds_figures_against_targets() {
        let mut report = Report::new("title", &["a", "b"]);
        report.check("fast".into(), 1.5, "×", Target::AtLeast(1.5));
        assert!(report.is_good());
        report.check("unknown".into(), f64::NAN, "×", Target::AtMost(1.0));
        assert!(!report.is_good());
        let text = report.to_string();
        assert!(text.contains("met    fast: 1.50 × (target ≥ 1.5)"), "{text}");
        assert!(text.contains("MISSED unknown"), "{text}");
    }
}
