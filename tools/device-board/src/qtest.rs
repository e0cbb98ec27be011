//! The qtest protocol: one command a line, one answer a line, and the edges of intercepted lines
//! before the answer of the command that caused them.

use crate::machine::{self, Machine};
use addr::Width;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use device_model::Level;
use std::fmt::Write as _;

/// Most bytes that one command may read or write: the machine's memory is no larger.
const LONGEST: u64 = 4 << 30;

/// Carries out a command; returns the lines to send, each with its end.
pub fn serve(machine: &mut Machine, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let answer = match answer(machine, &words) {
        Ok(value) if value.is_empty() => "OK".to_owned(),
        Ok(value) => format!("OK {value}"),
        Err(Refused(why)) => format!("FAIL {why}"),
    };
    let mut text = String::new();
    for edge in machine.take_edges() {
        let what = match edge.level {
            Level::Low => "lower",
            Level::High => "raise",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "IRQ {what} {}", edge.line);
    }
    text.push_str(&answer);
    text.push('\n');
    text
}

/// Why a command was not carried out.
#[derive(Debug)]
struct Refused(String);

type Answer = Result<String, Refused>;

fn answer(machine: &mut Machine, words: &[&str]) -> Answer {
    let (command, arguments) = words.split_first().ok_or_else(|| refused("no command"))?;
    match *command {
        "endianness" => Ok("little".to_owned()),
        "readb" | "readw" | "readl" | "readq" => {
            let value = machine.read(number(arguments, 0)?, width(command)?);
            Ok(format!("{value:#018x}"))
        }
        "writeb" | "writew" | "writel" | "writeq" => {
            let (address, value) = (number(arguments, 0)?, number(arguments, 1)?);
            machine.write(address, width(command)?, value);
            done()
        }
        "read" => {
            let bytes = machine.read_bytes(number(arguments, 0)?, count(arguments)?);
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            Ok(format!("0x{}", digits.collect::<String>()))
        }
        "write" => {
            let mut bytes = hexadecimal(word(arguments, 2)?)?;
            bytes.resize(count(arguments)?, 0);
            machine.write_bytes(number(arguments, 0)?, &bytes);
            done()
        }
        "b64read" => {
            let bytes = machine.read_bytes(number(arguments, 0)?, count(arguments)?);
            Ok(BASE64_STANDARD.encode(bytes))
        }
        "b64write" => {
            let bytes = BASE64_STANDARD.decode(word(arguments, 2)?);
            let mut bytes = bytes.map_err(|error| Refused(error.to_string()))?;
            bytes.resize(count(arguments)?, 0);
            machine.write_bytes(number(arguments, 0)?, &bytes);
            done()
        }
        "memset" => {
            let pattern = number(arguments, 2)? as u8;
            let bytes = vec![pattern; count(arguments)?];
            machine.write_bytes(number(arguments, 0)?, &bytes);
            done()
        }
        "clock_step" => step(machine, arguments),
        "clock_set" => {
            let target = number(arguments, 0)?;
            machine.advance_to(target);
            Ok(machine.now().to_string())
        }
        "irq_intercept_out" => {
            let device = device(word(arguments, 0)?);
            if machine.intercept_output(device) {
                done()
            } else {
                Err(refused("Unknown device"))
            }
        }
        "irq_intercept_in" => {
            if device(word(arguments, 0)?) != machine::GIC {
                return Err(refused("Unknown device"));
            }
            machine.intercept_inputs();
            done()
        }
        "set_irq_in" => set_input(machine, arguments),
        _ => Err(Refused(format!("Unknown command '{command}'"))),
    }
}

fn step(machine: &mut Machine, arguments: &[&str]) -> Answer {
    let target = if arguments.is_empty() {
        machine
            .next_deadline()
            .ok_or_else(|| refused("there is no pending deadline"))?
    } else {
        machine.now().saturating_add(number(arguments, 0)?)
    };
    machine.advance_to(target);
    Ok(machine.now().to_string())
}

fn set_input(machine: &mut Machine, arguments: &[&str]) -> Answer {
    let device = device(word(arguments, 0)?);
    let input = u32::try_from(number(arguments, 2)?).map_err(|_| refused("no such input"))?;
    let level = Level::from(number(arguments, 3)? != 0);
    if machine.set_input(device, input, level) {
        done()
    } else {
        Err(refused("Unknown device"))
    }
}

fn done() -> Answer {
    Ok(String::new())
}

fn refused(why: &str) -> Refused {
    Refused(why.to_owned())
}

/// Returns the name of the device at a path.
fn device(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn word<'a>(arguments: &[&'a str], place: usize) -> Result<&'a str, Refused> {
    arguments
        .get(place)
        .copied()
        .ok_or_else(|| refused("an argument is missing"))
}

/// Reads a number as C's `strtoull` with base 0 does.
fn number(arguments: &[&str], place: usize) -> Result<u64, Refused> {
    let word = word(arguments, place)?;
    let parsed = if let Some(digits) = word.strip_prefix("0x").or(word.strip_prefix("0X")) {
        u64::from_str_radix(digits, 16)
    } else if word.len() > 1 && word.starts_with('0') {
        u64::from_str_radix(word, 8)
    } else {
        word.parse()
    };
    parsed.map_err(|_| Refused(format!("{word} is not a number")))
}

fn count(arguments: &[&str]) -> Result<usize, Refused> {
    let count = number(arguments, 1)?;
    usize::try_from(count)
        .ok()
        .filter(|_| count <= LONGEST)
        .ok_or_else(|| refused("too many bytes"))
}

fn width(command: &str) -> Result<Width, Refused> {
    Ok(match command.as_bytes().last() {
        Some(b'b') => Width::Byte,
        Some(b'w') => Width::Half,
        Some(b'l') => Width::Word,
        Some(b'q') => Width::Double,
        _ => return Err(refused("no such width")),
    })
}

fn hexadecimal(word: &str) -> Result<Vec<u8>, Refused> {
    let digits = word.strip_prefix("0x").unwrap_or(word).as_bytes();
    digits
        .chunks_exact(2)
        .map(|pair| {
            let text = std::str::from_utf8(pair).ok();
            text.and_then(|text| u8::from_str_radix(text, 16).ok())
                .ok_or_else(|| refused("not hexadecimal"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn machine() -> Machine {
        Machine::new(&Options::default()).unwrap()
    }

    #[test]
    fn memory_is_written_and_read_in_every_form() {
        let machine = &mut machine();
        for (command, expected) in [
            ("endianness", "OK little\n"),
            ("writel 0x40000000 0x11223344", "OK\n"),
            ("readq 0x40000000", "OK 0x0000000011223344\n"),
            ("readb 1073741825", "OK 0x0000000000000033\n"),
            ("write 0x40000010 0x4 0xaabb", "OK\n"),
            ("read 0x40000010 4", "OK 0xaabb0000\n"),
            ("b64write 0x40000020 3 AQID", "OK\n"),
            ("b64read 0x40000020 3", "OK AQID\n"),
            ("memset 0x40000021 1 0xff", "OK\n"),
            ("read 0x40000020 0x3", "OK 0x01ff03\n"),
        ] {
            assert_eq!(serve(machine, command), expected, "{command}");
        }
    }

    #[test]
    fn edges_come_before_the_answer() {
        let machine = &mut machine();
        for (command, expected) in [
            ("irq_intercept_out /machine/pl011 sysbus-irq", "OK\n"),
            ("writel 0x9000038 0x20", "OK\n"),
            ("writel 0x9000000 0x41", "IRQ raise 0\nOK\n"),
            ("writel 0x9000044 0x20", "IRQ lower 0\nOK\n"),
        ] {
            assert_eq!(serve(machine, command), expected, "{command}");
        }
    }

    #[test]
    fn the_clock_steps_to_the_next_deadline_or_by_so_much() {
        let machine = &mut machine();
        for (command, expected) in [
            ("clock_step", "FAIL there is no pending deadline\n"),
            ("clock_step 400000000", "OK 400000000\n"),
            ("writel 0x9010004 1700000003", "OK\n"),
            ("clock_step", "OK 3000000000\n"),
            ("clock_set 5000000000", "OK 5000000000\n"),
            ("readl 0x9010014", "OK 0x0000000000000001\n"),
        ] {
            assert_eq!(serve(machine, command), expected, "{command}");
        }
    }

    #[test]
    fn inputs_of_the_interrupt_controller_are_numbered_as_qemu_does() {
        let machine = &mut machine();
        for (command, expected) in [
            ("set_irq_in /machine/gic unnamed-gpio-in 5 1", "OK\n"),
            ("readl 0x8000204", "OK 0x0000000000000020\n"),
            ("set_irq_in /machine/gic unnamed-gpio-in 283 1", "OK\n"),
            ("readl 0x80b0200", "OK 0x0000000008000000\n"),
        ] {
            assert_eq!(serve(machine, command), expected, "{command}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let machine = &mut machine();
        for command in [
            "",
            "readl",
            "readl x",
            "readx 0",
            "writel 0x40000000",
            "write 0 1 0xzz",
            "read 0 0xffffffffffffffff",
            "b64write 0x40000000 1 !",
            "irq_intercept_out /machine/nothing",
            "set_irq_in /machine/pl011 x 0 1",
            "set_irq_in /machine/gic x 0x100000000 1",
        ] {
            assert!(serve(machine, command).starts_with("FAIL"), "{command}");
        }
    }
}
