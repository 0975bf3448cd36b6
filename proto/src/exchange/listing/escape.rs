//! Names as text of a page: no name can end an element, or change how the text around it is read.

/// Text within an element or a quoted attribute. What is not seen but turns, hides or breaks text
/// is shown as U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut before = None;
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_joiner(c) && before.is_some_and(|b: char| !b.is_ascii()) => out.push(c),
            c if is_unseen(c) => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
        before = Some(c);
    }
    out
}

/// Between letters of some scripts, and within an emoji, they are seen by what they do.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Controls, what sets the direction of text (UAX #9), separators of lines, tags, and what else has
/// no shape.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_seen_is_shown() {
        for (name, shown) in [
            ("<a href='x'>&\"", "&lt;a href=&#39;x&#39;&gt;&amp;&quot;"),
            ("rtl\u{202e}gpj.exe", "rtl\u{fffd}gpj.exe"),
            ("\u{2066}a\u{61c}\u{ad}\u{200b}\u{2028}\n\u{85}", "�a������"),
            ("\u{e0041}\u{feff}\u{3164}", "���"),
            ("a\u{200d}b", "a\u{fffd}b"),
            ("\u{200c}", "\u{fffd}"),
            ("👨\u{200d}👩\u{200d}👧", "👨\u{200d}👩\u{200d}👧"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("e\u{301} \u{a0}❤\u{fe0f}", "e\u{301} \u{a0}❤\u{fe0f}"),
        ] {
            assert_eq!(escape(name), shown, "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_markup_and_nothing_is_lost(text: String) {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let read = escaped
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&#39;", "'")
                .replace("&amp;", "&");
            prop_assert_eq!(read.chars().count(), text.chars().count());
            for (read, meant) in read.chars().zip(text.chars()) {
                let replaced = read == char::REPLACEMENT_CHARACTER && is_unseen(meant);
                prop_assert!(read == meant || replaced, "{:?}", meant);
            }
        }
    }
}
