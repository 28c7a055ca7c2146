//! Tables as kubectl prints them: columns by width, three spaces between, no lines.

/// Rows under a heading. The last column is not padded, so that a long message wraps like text.
pub(crate) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    std::iter::once(&heading)
        .chain(rows)
        .map(|row| line(row, &widths))
        .collect::<Vec<_>>()
        .join("\n")
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in row.iter().zip(widths) {
        text.push_str(&format!("{cell:<width$}   "));
    }
    text.trim_end().to_owned()
}

/// A span in its two largest units, as in kubectl's column AGE.
pub(crate) fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600, seconds / 60);
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 && seconds % 60 != 0 => format!("{minutes}m{}s", seconds % 60),
        () if hours < 3 => format!("{minutes}m"),
        () if hours < 8 && minutes % 60 != 0 => format!("{hours}h{}m", minutes % 60),
        () if hours < 48 => format!("{hours}h"),
        () => format!("{days}d"),
    }
}

/// `a, b, c and 4 more`.
pub(crate) fn some(names: &[String], most: usize) -> String {
    if names.len() <= most {
        return names.join(", ");
    }
    format!("{} and {} more", names[..most].join(", "), names.len() - most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_do_not_end_in_spaces() {
        let rows = [
            vec!["node-1".to_owned(), "Draining".to_owned(), String::new()],
            vec!["a".to_owned(), "b".to_owned(), "message".to_owned()],
        ];
        expect_test::expect![[r#"
            NODE     PHASE      MESSAGE
            node-1   Draining
            a        b          message"#]]
        .assert_eq(&table(&["NODE", "PHASE", "MESSAGE"], &rows));
    }

    #[test]
    fn ages_are_short() {
        let ages = [0, 119, 150, 180, 700, 10_000, 20_000, 100_000, 1_000_000].map(age);
        assert_eq!(
            ages,
            ["0s", "119s", "2m30s", "3m", "11m", "166m", "5h33m", "27h", "11d"]
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let names = ["cp-1", "node-2", "node-10"].map(str::to_owned);
        assert_eq!(some(&names, 2), "cp-1, node-2 and 1 more");
        assert_eq!(some(&names, 3), "cp-1, node-2, node-10");
    }
}
