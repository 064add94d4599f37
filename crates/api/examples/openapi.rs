//! Prints the native dialect's OpenAPI document, to be checked in as `openapi/native.json`.

fn main() {
    print!("{}", lazaret_api::open_api());
}
