//! A table in plain text.

use std::fmt;

use comfy_table::{CellAlignment, LineStyle, presets};

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
    cells: comfy_table::Table,
    markdown: bool,
}

impl Table {
    /// A table for a terminal.
    pub(crate) fn new(header: &[(&str, Align)]) -> Self {
        let mut table = Self::markdown(header);
        table.cells.load_style(presets::NOTHING);
        for column in table.cells.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self { markdown: false, ..table }
    }

    /// A table for a document.
    pub(crate) fn markdown(header: &[(&str, Align)]) -> Self {
        let mut cells = comfy_table::Table::new();
        // The preset's rule does not say which columns are numbers: `fmt` writes another one.
        cells.load_style(presets::ASCII_MARKDOWN.header_separator(LineStyle::none()));
        cells.set_header(header.iter().map(|(name, _)| *name));
        for (column, (_, align)) in cells.column_iter_mut().zip(header) {
            if let Align::Right = align {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let header = header.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect();
        Self { header, cells, markdown: true }
    }

    /// Adds a row, of as many cells as the header has.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.header.len(), "a row has a cell for each column");
        self.cells.add_row(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = self.cells.clone();
        let widths = table.column_max_content_widths();
        table.set_header(self.header.iter().zip(widths).map(|((name, align), width)| {
            let end = if self.markdown && matches!(align, Align::Right) { ":" } else { "-" };
            format!("{name}\n{end:->0$}", usize::from(width))
        }));
        writeln!(f, "{}", table.trim_fmt())
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
