//! A table in plain text.

use std::fmt;

/// How a column is aligned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Align {
    /// For names.
    Left,
    /// For numbers.
    Right,
}

/// Rows below a header.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    markdown: bool,
}

impl Table {
    /// A table for a terminal.
    pub(crate) fn new(header: &[(&str, Align)]) -> Self {
        let header = header.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect();
        Self { header, rows: Vec::new(), markdown: false }
    }

    /// A table for a document.
    pub(crate) fn markdown(header: &[(&str, Align)]) -> Self {
        Self { markdown: true, ..Self::new(header) }
    }

    /// Adds a row, of as many cells as the header has.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.header.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }

    fn line<'a>(
        &self,
        f: &mut fmt::Formatter<'_>,
        widths: &[usize],
        cells: impl Iterator<Item = &'a String>,
    ) -> fmt::Result {
        let padded =
            cells.zip(&self.header).zip(widths).map(|((cell, (_, align)), width)| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
        let padded: Vec<String> = padded.collect();
        if self.markdown {
            writeln!(f, "| {} |", padded.join(" | "))
        } else {
            writeln!(f, "{}", padded.join("  ").trim_end())
        }
    }

    fn rule(&self, f: &mut fmt::Formatter<'_>, widths: &[usize]) -> fmt::Result {
        let dashes = self.header.iter().zip(widths).map(|((_, align), width)| match align {
            Align::Right if self.markdown => format!("{:->width$}", ":"),
            _ => "-".repeat(*width),
        });
        let dashes: Vec<String> = dashes.collect();
        if self.markdown {
            writeln!(f, "| {} |", dashes.join(" | "))
        } else {
            writeln!(f, "{}", dashes.join("  "))
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.header[column].0.chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        self.line(f, &widths, self.header.iter().map(|(name, _)| name))?;
        self.rule(f, &widths)?;
        self.rows.iter().try_for_each(|row| self.line(f, &widths, row.iter()))
    }
}

/// A number with its thousands apart.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[("Layer", Align::Left), ("N", Align::Right)]);
        table.row(vec!["é".to_owned(), thousands(1_234_567)]);
        table.row(vec!["a longer name".to_owned(), thousands(999)]);
        let expected = "\
Layer                  N
-------------  ---------
é              1,234,567
a longer name        999
";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn markdown_has_bars_and_says_which_columns_are_numbers() {
        let mut table = Table::markdown(&[("Set", Align::Left), ("CPU", Align::Right)]);
        table.row(vec!["pure".to_owned(), "1".to_owned()]);
        assert_eq!(table.to_string(), "| Set  | CPU |\n| ---- | --: |\n| pure |   1 |\n");
    }
}
