//! One comparison.

use super::choice::view;
use super::trace;
use super::{Emulator, Operation, Programs, Random, Response, Subject, Watch};
use anyhow::{Context, Result, ensure};
use std::fmt;

/// How many operations are made up at once.
const ROUND: usize = 1024;

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// The programs.
    pub programs: &'a Programs,
    /// The device.
    pub subject: &'a Subject,
    /// The bug to plant into the board.
    pub plant: Option<&'a str>,
}

/// Where the two sides part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What was done, up to and with the operation that was answered differently.
    pub operations: Vec<Operation>,
    /// The board's answer.
    pub board: Response,
    /// QEMU's answer.
    pub qemu: Response,
}

/// What came of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many operations both sides did.
    pub compared: usize,
    /// How many reads were answered differently, but for a reason that stands in the list.
    pub explained: usize,
    /// The first difference without a reason.
    pub difference: Option<Difference>,
}

/// Does random operations on both sides that are worth `count` accesses, up to the first difference; where there is no QEMU
/// for the device's machine, those of a trace.
///
/// # Errors
/// If a side does not start, ends, or refuses a command.
pub fn compare(run: &Run, seed: u64, count: usize) -> Result<Outcome> {
    if !run.programs.can_start(run.subject.machine) {
        let trace = run.subject.trace.context("there is no QEMU for it")?;
        return trace::compare(run, trace);
    }
    let count = count.div_ceil(run.subject.cost);
    let mut random = Random::new(seed);
    let mut pair = Pair::start(run)?;
    let mut shadow = (run.subject.shadow)();
    let mut outcome = Outcome::default();
    let mut done = Vec::new();
    while outcome.compared < count {
        let room = ROUND.min(count - outcome.compared);
        let operations: Vec<Operation> =
            std::iter::repeat_with(|| (run.subject.generate)(&mut random))
                .filter_map(|operation| shadow.admit(operation))
                .take(room)
                .collect();
        let (same, explained, answers) = pair.apply(run.subject, &operations)?;
        outcome.explained += explained;
        outcome.compared += same;
        done.extend_from_slice(&operations[..same]);
        if let Some((board, qemu)) = answers {
            outcome.compared += 1;
            done.push(operations[same]);
            outcome.difference = Some(Difference {
                operations: done,
                board,
                qemu,
            });
            break;
        }
    }
    Ok(outcome)
}

/// Does given operations on two fresh sides; returns the first difference.
pub(super) fn replay(run: &Run, operations: &[Operation]) -> Result<Option<Difference>> {
    let mut pair = Pair::start(run)?;
    let mut shadow = (run.subject.shadow)();
    let operations: Vec<Operation> = operations
        .iter()
        .filter_map(|operation| shadow.admit(*operation))
        .collect();
    let (same, _, answers) = pair.apply(run.subject, &operations)?;
    Ok(answers.map(|(board, qemu)| Difference {
        operations: operations[..=same].to_vec(),
        board,
        qemu,
    }))
}

/// The two sides.
struct Pair {
    board: Emulator,
    qemu: Emulator,
    /// The paths of what has the inputs, on the board and in QEMU.
    inputs: [String; 2],
}

/// The number of operations that were answered alike, how many of them for a reason, and the two
/// answers to the next one.
type Applied = (usize, usize, Option<(Response, Response)>);

impl Pair {
    fn start(run: &Run) -> Result<Self> {
        let subject = run.subject;
        let mut board = run.programs.start_board(subject, run.plant)?;
        let mut qemu = run.programs.start_qemu(subject)?;
        let inputs = match subject.inputs {
            Some((kind, name)) => [format!("/machine/{name}"), qemu.find(kind)?],
            None => [String::new(), String::new()],
        };
        match subject.watch {
            Watch::Output { kind } => {
                let path = qemu.find(kind)?;
                qemu.command(&format!("irq_intercept_out {path} sysbus-irq"))?;
                let path = format!("/machine/{}", subject.device);
                board.command(&format!("irq_intercept_out {path} sysbus-irq"))?;
            }
            Watch::Nothing => {}
        }
        let mut pair = Self {
            board,
            qemu,
            inputs,
        };
        pair.perform(subject, subject.prologue)?;
        Ok(pair)
    }

    fn apply(&mut self, subject: &Subject, operations: &[Operation]) -> Result<Applied> {
        let answers = self.perform(subject, operations)?;
        ensure!(answers.len() == operations.len(), "answers are missing");
        let mut explained = 0;
        for (place, (operation, (board, qemu))) in operations.iter().zip(answers).enumerate() {
            if board == qemu {
                continue;
            }
            let seen = |response: &Response| Response {
                value: response
                    .value
                    .map(|value| view(subject.choices, operation, value)),
                ..response.clone()
            };
            if seen(&board) != seen(&qemu) {
                return Ok((place, explained, Some((board, qemu))));
            }
            explained += 1;
        }
        Ok((operations.len(), explained, None))
    }

    /// Does everything on both sides. Requests need answers on the way; the rest goes in batches.
    fn perform(
        &mut self,
        subject: &Subject,
        operations: &[Operation],
    ) -> Result<Vec<(Response, Response)>> {
        let is_request = |operation: &Operation| matches!(operation, Operation::Request(_));
        let mut answers = Vec::with_capacity(operations.len());
        for group in operations.chunk_by(|one, two| !is_request(one) && !is_request(two)) {
            if let [Operation::Request(request)] = group {
                let board = request.perform(&mut self.board, subject.base)?;
                answers.push((board, request.perform(&mut self.qemu, subject.base)?));
                continue;
            }
            let commands = |inputs: &str| -> Vec<String> {
                let commands = group.iter();
                commands
                    .filter_map(|operation| operation.command(subject.base, inputs))
                    .collect()
            };
            let [ours, theirs] = [commands(&self.inputs[0]), commands(&self.inputs[1])];
            answers.extend(self.board.exchange(&ours, &mut self.qemu, &theirs)?);
        }
        Ok(answers)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for operation in &self.operations {
            writeln!(f, "    {operation}")?;
        }
        writeln!(f, "    board: {}", Shown(&self.board))?;
        write!(f, "    QEMU:  {}", Shown(&self.qemu))
    }
}

/// A response, for people.
struct Shown<'a>(&'a Response);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.value {
            Some(value) => write!(f, "{value:#x}")?,
            None => write!(f, "ok")?,
        }
        for value in &self.0.more {
            write!(f, ", {value:#x}")?;
        }
        for level in &self.0.edges {
            write!(f, ", line {level:?}")?;
        }
        Ok(())
    }
}
