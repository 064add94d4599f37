//! Prints a dialect's OpenAPI document, to be checked in as `openapi/<dialect>.json`: `native`, which is the default,
//! `daytona-control` or `daytona-toolbox`.

fn main() {
    let document = match std::env::args().nth(1).as_deref() {
        None | Some("native") => lazaret_api::open_api(),
        Some("daytona-control") => lazaret_api::daytona_control_open_api(),
        Some("daytona-toolbox") => lazaret_api::daytona_toolbox_open_api(),
        Some(other) => panic!("'{other}' is not native, daytona-control or daytona-toolbox"),
    };
    print!("{document}");
}
