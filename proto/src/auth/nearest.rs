//! The word that is nearest to a misspelled one.

/// The known word that is nearest, if one is near: by the number of letters to be added, dropped,
/// changed or swapped.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = 1 + word.chars().count() / 4;
    known
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

/// True if one letter of one of these is missing, added, another, or in the place of its neighbour.
pub fn is_slip<'a>(word: &str, mut known: impl Iterator<Item = &'a str>) -> bool {
    known.any(|candidate| distance(word, candidate) == 1)
}

/// Optimal string alignment distance.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<_>, Vec<_>) = (one.chars().collect(), other.chars().collect());
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before_at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

fn before_at(row: &[usize], at: usize) -> usize {
    row.get(at).copied().unwrap_or(usize::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found() {
        let known = ["name", "ru", "rg", "wu", "filters", "max_client_errors"];
        for (word, expected) in [
            ("filter", Some("filters")),
            ("fitlers", Some("filters")),
            ("max_client_error", Some("max_client_errors")),
            ("nmae", Some("name")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        }
    }

    #[test]
    fn one_letter_is_a_slip() {
        for (word, slip) in [
            ("dlst", true),
            ("dllist", true),
            ("dlisd", true),
            ("dilst", true),
            ("dlist", false),
            ("dls", false),
            ("list_d", false),
            ("", false),
        ] {
            assert_eq!(is_slip(word, ["close", "dlist"].into_iter()), slip, "{word}");
        }
    }
}
