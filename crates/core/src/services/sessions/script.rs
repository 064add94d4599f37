//! What the shell of a session runs: a loop of ours, and for each command one line of shell.
//!
//! ```text
//!   7  lines of ours, and after them the input of a command that reads        8, 9  output and errors, for our marks
//! ```
//!
//! The loop takes only lines that begin with its token, so input that a command left unread is not run. A command is
//! evaluated in the shell itself, so that what it changes stays; it has none of our descriptors, so that a program that it
//! leaves behind holds nothing open. `command` keeps an error of syntax from ending a POSIX shell. Nothing here is beyond
//! POSIX, so that bash, dash and busybox do the same.

use crate::{CommandId, Stdin};

/// Shells that understand this, the best first.
pub(super) const SHELLS: [&str; 2] = ["bash", "sh"];

/// The loop; its first argument is the token.
pub(super) const LOOP: &str = r#"__lazaret_n='
'
__lazaret_t=$1
shift
exec 7<&0 8>&1 9>&2 </dev/null
while IFS= read -r __lazaret_l <&7; do
case $__lazaret_l in "$__lazaret_t "*) eval "${__lazaret_l#* }";; esac
done"#;

/// The line that runs a command. It begins with a newline, behind whatever the last command has not read.
pub(super) fn line(token: &str, id: CommandId, command: &str, stdin: Stdin) -> String {
    let (mode, input) = match stdin {
        Stdin::Empty => ("-", "</dev/null"),
        Stdin::Stream => ("i", "<&7"),
    };
    let length = command.len();
    let quoted = quote(command);
    format!(
        "\n{token} __lazaret_c={quoted}; \
         printf '\\036%s B {id} {mode} {length}\\n%s\\n' \"$__lazaret_t\" \"$__lazaret_c\" >&8; \
         command eval \"$__lazaret_c\" {input} 7<&- 8>&- 9>&-; __lazaret_s=$?; \
         printf '\\036%s E {id} %s\\n' \"$__lazaret_t\" \"$__lazaret_s\" >&8; \
         printf '\\036%s E {id}\\n' \"$__lazaret_t\" >&9\n"
    )
}

/// The text as one word of shell without a newline in it.
fn quote(text: &str) -> String {
    let escaped = text.replace('\'', r"'\''").replace('\n', r#"'"$__lazaret_n"'"#);
    format!("'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_any_text_is_one_line() {
        let id = CommandId::from_bytes([7; 16]);
        let line = line("tok", id, "echo 'a b'\nexit 3\n", Stdin::Empty);
        assert_eq!(line.matches('\n').count(), 2);
        assert!(line.starts_with(
            "\ntok __lazaret_c='echo '\\''a b'\\'''\"$__lazaret_n\"'exit 3'\"$__lazaret_n\"''; "
        ));
        assert!(line.contains(" - 18\\n"));
    }
}
