//! The JSON arrays of the exec form: strings only.

use std::iter::Peekable;
use std::str::Chars;

/// The strings of a JSON array; `None` for anything else, which is then the shell form.
pub(super) fn strings(text: &str) -> Option<Vec<String>> {
    let mut chars = text.trim().chars().peekable();
    if chars.next()? != '[' {
        return None;
    }
    let mut found = Vec::new();
    skip_space(&mut chars);
    if chars.next_if_eq(&']').is_none() {
        loop {
            skip_space(&mut chars);
            found.push(string(&mut chars)?);
            skip_space(&mut chars);
            match chars.next()? {
                ',' => {}
                ']' => break,
                _ => return None,
            }
        }
    }
    skip_space(&mut chars);
    chars.next().is_none().then_some(found)
}

fn skip_space(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| matches!(c, ' ' | '\t' | '\r' | '\n')).is_some() {}
}

fn string(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    if chars.next()? != '"' {
        return None;
    }
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => text.push(escaped(chars)?),
            c if c < ' ' => return None,
            c => text.push(c),
        }
    }
}

fn escaped(chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    Some(match chars.next()? {
        c @ ('"' | '\\' | '/') => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let high = hex(chars)?;
            // Half of a pair that stands for a character beyond the first 65,536.
            if (0xd800..0xdc00).contains(&high) {
                if chars.next()? != '\\' || chars.next()? != 'u' {
                    return None;
                }
                let low = hex(chars)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)?
            } else {
                char::from_u32(high)?
            }
        }
        _ => return None,
    })
}

fn hex(chars: &mut Peekable<Chars<'_>>) -> Option<u32> {
    (0..4).try_fold(0, |value, _| Some(value * 16 + chars.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_strings_are_read_and_all_else_is_no_array() {
        for (text, want) in [
            (r#"["a", "b c"]"#, Some(vec!["a", "b c"])),
            ("[ ]", Some(vec![])),
            (r#" ["\"\\\/\n\t\u00e9\ud83d\ude00"] "#, Some(vec!["\"\\/\n\té😀"])),
            (r#"["a",]"#, None),
            (r#"["a" "b"]"#, None),
            (r#"["a"] b"#, None),
            (r#"["a"#, None),
            (r#"['a']"#, None),
            ("[1]", None),
            (r#"["\ud83d"]"#, None),
            (r#"["\q"]"#, None),
            ("[ -e /x ] || true", None),
            ("", None),
        ] {
            let want = want.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(strings(text), want, "{text}");
        }
    }
}
