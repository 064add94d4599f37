//! What `serve` prints: where it answers, the key, and a line to paste for each dialect.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use lazaret_core::Secret;

/// The text for standard output. `program` is the path of this program, which need not be on anybody's `PATH`; `new_key`
/// is the key that this start made, which is shown this once.
pub(crate) fn text(
    program: &Path,
    address: SocketAddr,
    key_file: &Path,
    has_key_file: bool,
    new_key: Option<&Secret>,
) -> String {
    let url = format!("http://{address}");
    let program = shell_word(&program.display().to_string());
    let key = if has_key_file {
        format!("\"$(cat {})\"", shell_word(&key_file.display().to_string()))
    } else {
        "\"$LAZARET_API_KEY\"".to_owned()
    };
    let mut text = format!("lazaret {} answers on {url}\n", env!("CARGO_PKG_VERSION"));
    if let Some(secret) = new_key {
        let _ = writeln!(
            text,
            "\n  API key (shown this once; kept in {}):\n    {}",
            key_file.display(),
            secret.expose()
        );
    }
    let _ = write!(
        text,
        r#"
  paste one of these into another terminal:

  command line     export LAZARET_URL={url} LAZARET_API_KEY={key}
                   {program} run -- python3 -c 'print(6 * 7)'
  openai SDK       export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={key}
                   python3 -c 'import openai; print(openai.OpenAI().containers.create(name="first").id)'
  daytona SDK      export DAYTONA_API_URL={url}/api DAYTONA_API_KEY={key}
                   python3 -c 'import daytona; print(daytona.Daytona().create().id)'
  curl             curl -sS {url}/lazaret/v1/sandboxes -H "Authorization: Bearer "{key} -d '{{}}' -H 'content-type: application/json'
"#
    );
    text
}

/// The text as one word for a POSIX shell.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_printed_only_by_the_start_that_made_it() {
        let (address, file) = ("127.0.0.1:1".parse().unwrap(), Path::new("/d/api-key"));
        let text =
            |has_key_file, new_key| text(Path::new("/bin/lazaret"), address, file, has_key_file, new_key);
        let secret = Secret::new("lzr_1");
        let first = text(true, Some(&secret));
        assert!(first.contains("lzr_1") && first.contains("$(cat /d/api-key)"));
        assert!(!text(true, None).contains("lzr_"));
        assert!(text(false, None).contains("$LAZARET_API_KEY"));
    }

    #[test]
    fn the_two_sdks_are_told_where_their_api_is() {
        let text =
            text(Path::new("/bin/lazaret"), "127.0.0.1:1".parse().unwrap(), Path::new("k"), true, None);
        for want in ["OPENAI_BASE_URL=http://127.0.0.1:1/v1 ", "DAYTONA_API_URL=http://127.0.0.1:1/api "] {
            assert!(text.contains(want), "{text}");
        }
    }

    #[test]
    fn a_path_with_spaces_is_quoted() {
        assert_eq!(shell_word("/a b/it's"), "'/a b/it'\\''s'");
    }
}
