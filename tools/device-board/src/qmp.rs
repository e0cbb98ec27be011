//! The part of QEMU's control protocol (QMP) that its device tests use.

use crate::machine::{DEVICES, Machine};
use serde_json::{Value, json};

/// What follows from a command, beside its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next command.
    Continue,
    /// The end of the program.
    Quit,
}

/// Returns what a test is told when it has connected.
#[must_use]
pub fn greeting() -> Value {
    json!({"QMP": {
        "version": {"qemu": {"major": 10, "minor": 0, "micro": 0}, "package": "Bulkhead's board"},
        "capabilities": [],
    }})
}

/// Carries out a command; returns the answers in their order.
pub fn serve(machine: &mut Machine, command: &Value) -> (Vec<Value>, Next) {
    let arguments = &command["arguments"];
    let mut next = Next::Continue;
    let mut events = Vec::new();
    let result = match command["execute"].as_str().unwrap_or_default() {
        "qmp_capabilities" => Ok(json!({})),
        "query-machines" => Ok(machines()),
        "qom-list-types" => Ok(types()),
        "system_reset" => {
            machine.reset();
            events.push(event(
                "RESET",
                json!({"guest": false, "reason": "host-qmp-system-reset"}),
            ));
            Ok(json!({}))
        }
        "device_add" => add_device(machine, arguments),
        "device_del" => {
            let removed = remove_device(machine, arguments);
            if removed.is_ok() {
                events.push(event("DEVICE_DELETED", arguments.clone()));
            }
            removed
        }
        "block_resize" => resize(machine, arguments),
        "quit" => {
            next = Next::Quit;
            Ok(json!({}))
        }
        unknown => Err(format!("The command {unknown} has not been found")),
    };
    let mut answer = match result {
        Ok(value) => json!({ "return": value }),
        Err(why) => json!({"error": {"class": "GenericError", "desc": why}}),
    };
    if let Some(id) = command.get("id") {
        answer["id"] = id.clone();
    }
    let mut answers = vec![answer];
    answers.append(&mut events);
    (answers, next)
}

fn add_device(machine: &mut Machine, arguments: &Value) -> Result<Value, String> {
    let kind = arguments["driver"].as_str().unwrap_or_default();
    let name = arguments["id"].as_str().unwrap_or_default();
    let added = machine.add_port(kind, name);
    added.map_err(|error| error.to_string())?;
    Ok(json!({}))
}

fn remove_device(machine: &mut Machine, arguments: &Value) -> Result<Value, String> {
    let name = arguments["id"].as_str().unwrap_or_default();
    let removed = machine.remove_port(name);
    removed.map_err(|error| error.to_string())?;
    Ok(json!({}))
}

fn resize(machine: &mut Machine, arguments: &Value) -> Result<Value, String> {
    let disk = arguments["device"].as_str().unwrap_or_default();
    let bytes = arguments["size"].as_u64().ok_or("size is missing")?;
    let resized = machine.resize_disk(disk, bytes);
    resized.map_err(|error| error.to_string())?;
    Ok(json!({}))
}

/// Makes an event. The board's time stands still, so it says no other.
fn event(name: &str, data: Value) -> Value {
    json!({
        "event": name,
        "data": data,
        "timestamp": {"seconds": 0, "microseconds": 0},
    })
}

/// The machines by their names: the map of `virt`, and the empty one that is asked for the others.
fn machines() -> Value {
    let machine = |name: &str| {
        json!({
            "name": name,
            "cpu-max": 8,
            "hotpluggable-cpus": false,
            "numa-mem-supported": false,
            "deprecated": false,
            "acpi": false,
        })
    };
    json!([machine("virt"), machine("none")])
}

/// The devices that can be asked for with `-device`.
fn types() -> Value {
    let types = DEVICES
        .iter()
        .map(|name| json!({"name": name, "parent": "device"}));
    types.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn machine() -> Machine {
        Machine::new(&Options::default()).unwrap()
    }

    #[test]
    fn an_answer_carries_the_command_s_identifier() {
        let command = json!({"execute": "qmp_capabilities", "id": 7});
        let (answers, next) = serve(&mut machine(), &command);
        assert_eq!(answers, [json!({"return": {}, "id": 7})]);
        assert_eq!(next, Next::Continue);
        let (answers, _) = serve(&mut machine(), &json!({"execute": "migrate"}));
        assert_eq!(answers[0]["error"]["class"], "GenericError");
        let (_, next) = serve(&mut machine(), &json!({"execute": "quit"}));
        assert_eq!(next, Next::Quit);
    }

    #[test]
    fn a_reset_is_told_as_an_event() {
        let mut machine = machine();
        machine.write(0x0900_0038, addr::Width::Word, 0x7ff);
        let (answers, _) = serve(&mut machine, &json!({"execute": "system_reset"}));
        assert_eq!(answers[0], json!({"return": {}}));
        assert_eq!(answers[1]["event"], "RESET");
        assert_eq!(machine.read(0x0900_0038, addr::Width::Word), 0);
    }
}
