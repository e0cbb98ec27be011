//! Bulkhead's devices in the place of QEMU: see the library's documentation.

use device_board::options::Options;
use device_board::server;
use std::process::ExitCode;

fn main() -> ExitCode {
    // libqtest ends its emulators by a signal and expects that they end well.
    if let Err(error) = ctrlc::set_handler(|| std::process::exit(0)) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let outcome = Options::parse(std::env::args().skip(1)).and_then(|it| server::run(&it));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
