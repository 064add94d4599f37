//! Wildcards of paths, as `COPY` and `.dockerignore` have them (Go's `filepath.Match`, and `**`).
//!
//! | Written | Matches |
//! | --- | --- |
//! | `*` | any characters of one component |
//! | `?` | one character of one component |
//! | `[a-z]` `[^a]` | one character that is, or is not, one of these |
//! | `\*` | the character itself |
//! | `**` as a whole component | any number of components, none too, where that is asked for |

/// A pattern of components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    components: Vec<Component>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Component {
    /// `**`.
    AnyDepth,
    Pieces(Vec<Piece>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Any,
    One,
    This(char),
    Set { ranges: Vec<(char, char)>, negated: bool },
}

impl PathPattern {
    /// Reads a pattern whose `**` means any depth.
    ///
    /// # Errors
    /// What is malformed, in a sentence.
    pub fn deep(text: &str) -> Result<Self, String> {
        Self::read(text, true)
    }

    /// Reads a pattern whose `**` is two `*`.
    ///
    /// # Errors
    /// As [`PathPattern::deep`].
    pub fn flat(text: &str) -> Result<Self, String> {
        Self::read(text, false)
    }

    fn read(text: &str, deep: bool) -> Result<Self, String> {
        let component = |text: &str| {
            if deep && text == "**" { Ok(Component::AnyDepth) } else { pieces(text).map(Component::Pieces) }
        };
        let written = text.split('/').filter(|component| !matches!(*component, "" | "."));
        let mut components: Vec<Component> = written.map(component).collect::<Result<_, _>>()?;
        // Two in a row say no more than one, and would be tried against each other.
        components.dedup_by(|a, b| *a == Component::AnyDepth && *b == Component::AnyDepth);
        Ok(Self { components })
    }

    /// How many components a match has; `None` where that is open.
    pub fn depth(&self) -> Option<usize> {
        (!self.components.contains(&Component::AnyDepth)).then_some(self.components.len())
    }

    /// Whether the components of a path match, all of them.
    pub fn matches(&self, path: &[&str]) -> bool {
        // Greedy with one way back, as for characters: the last `**`.
        let (mut component, mut at) = (0, 0);
        let mut back = None;
        while at < path.len() {
            match self.components.get(component) {
                Some(Component::AnyDepth) => {
                    back = Some((component + 1, at));
                    component += 1;
                }
                Some(Component::Pieces(pieces)) if component_matches(pieces, path[at]) => {
                    (component, at) = (component + 1, at + 1);
                }
                _ => {
                    let Some((after, from)) = back else { return false };
                    back = Some((after, from + 1));
                    (component, at) = (after, from + 1);
                }
            }
        }
        self.components[component..].iter().all(|component| *component == Component::AnyDepth)
    }
}

/// Whether a text means anything but itself.
pub fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let malformed = || format!("{} is a malformed pattern", text.escape_debug());
    let mut pieces = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' => Piece::Any,
            '?' => Piece::One,
            '\\' => Piece::This(chars.next().ok_or_else(malformed)?),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                loop {
                    let low = match chars.next().ok_or_else(malformed)? {
                        ']' if !ranges.is_empty() => break,
                        ']' | '-' => return Err(malformed()),
                        '\\' => chars.next().ok_or_else(malformed)?,
                        c => c,
                    };
                    let high = match chars.next_if_eq(&'-') {
                        None => low,
                        Some(_) => match chars.next().ok_or_else(malformed)? {
                            ']' | '-' => return Err(malformed()),
                            '\\' => chars.next().ok_or_else(malformed)?,
                            c => c,
                        },
                    };
                    ranges.push((low, high));
                }
                Piece::Set { ranges, negated }
            }
            c => Piece::This(c),
        });
    }
    Ok(pieces)
}

fn component_matches(pieces: &[Piece], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut piece, mut at) = (0, 0);
    let mut back = None;
    while at < text.len() {
        let c = text[at];
        let fits = match pieces.get(piece) {
            Some(Piece::Any) => {
                back = Some((piece + 1, at));
                piece += 1;
                continue;
            }
            Some(Piece::One) => true,
            Some(Piece::This(wanted)) => *wanted == c,
            Some(Piece::Set { ranges, negated }) => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
            None => false,
        };
        if fits {
            (piece, at) = (piece + 1, at + 1);
        } else {
            let Some((after, from)) = back else { return false };
            back = Some((after, from + 1));
            (piece, at) = (after, from + 1);
        }
    }
    pieces[piece..].iter().all(|piece| *piece == Piece::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str, want: bool) {
        let parts: Vec<&str> = path.split('/').collect();
        assert_eq!(PathPattern::deep(pattern).map(|p| p.matches(&parts)), Ok(want), "{pattern} {path}");
    }

    #[test]
    fn wildcards_stay_in_their_component_unless_they_are_two_stars() {
        for (pattern, path, want) in [
            ("*.rs", "a.rs", true),
            ("*.rs", "a/b.rs", false),
            ("a*b*c", "axxbyc", true),
            ("a*b*c", "axxbycd", false),
            ("?", "é", true),
            ("a/?", "a/b", true),
            ("[a-c]x[^0-9]", "bxz", true),
            ("[a-c]x[^0-9]", "bx3", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("/a/./b/", "a/b", true),
            ("**/a", "a", true),
            ("**/a", "x/y/a", true),
            ("**/a", "x/y/b", false),
            ("a/**", "a/b/c", true),
            ("a/**/c", "a/c", true),
            ("a/**/**/c", "a/x/y/c", true),
            ("**", "x/y", true),
            ("a**", "ab", true),
        ] {
            check(pattern, path, want);
        }
        assert_eq!(PathPattern::flat("**/a").map(|p| p.matches(&["x", "y", "a"])), Ok(false));
        assert_eq!(PathPattern::flat("a/*").map(|p| p.depth()), Ok(Some(2)));
        assert_eq!(PathPattern::deep("a/**").map(|p| p.depth()), Ok(None));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["[", "[]", "[a", "[a-", "[-a]", "a\\", "[^]"] {
            let error = PathPattern::deep(pattern);
            assert_eq!(error, Err(format!("{} is a malformed pattern", pattern.escape_debug())));
        }
    }
}
