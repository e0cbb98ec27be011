//! The report: every case with its outcome.

use super::{BOUND, EL2_FAULTS, Outcome};
use std::fmt::Write;

const HEAD: &str = "\
# Abuse report

What a hostile guest did to Bulkhead, and what came of it. Generated; do not edit:

```text
cargo xtask abuse-report
```

`payloads/hostile-guest` plays the cases; `tests/hostile.rs` runs it beside a second VM that hashes
4 MiB of its own memory again and again. After every case the hypervisor is alive, the neighbor's
heart has gone on beating, the hash is what it was, and the hostile VM was answered as the
architecture says (checked inside it), or was stopped alone. At each end of a VM the hypervisor has
as much heap and as many table pages in use as at the first.

*Longest* is the longest time that the guest waited for one answer, in instructions, on one CPU whose
clock counts them (`-icount`), with 988 shared interrupts. It includes the guest's own instructions
around the access and in its exception handler. A dash: not measured, as the case needs more vCPUs,
or ends its VM.

";

const HOST: &str = "
## Cases that are tests on the host

| case | tests |
|---|---|
| H1 device trees | `h1_…` in `crates/board`, `crates/manifest`, `crates/guest-dtb` |
| H2 kernels | `h2_…` in `crates/guest-image`, `crates/manifest`, `tools/pack` |
| H4 initrd and device tree | `h4_…` in `crates/guest-image`, `crates/manifest` |
| H5 archives and descriptions | `h5_…` in `crates/archive`, `tools/pack` |

## Cases that are not played

| case | reason |
|---|---|
| A5, A9, A11 | nothing unmaps, splits or hands back memory while a VM runs; the models of `crates/stage2` cover the edits |
| A6 | memory never goes from one VM to another: it is allocated, zeroed, at boot |
| A12 | no device is passed through |
| B6 for EL1 | EL1 is AArch64 only |
| D7 | there is no FF-A |
";

/// Returns the report's text.
pub(crate) fn text(beside: &[Outcome], counted: &[Outcome]) -> String {
    let mut text = HEAD.to_owned();
    // Writing to a string can't fail.
    let _ = writeln!(
        text,
        "{} cases, {} of them measured; the bound is {BOUND} instructions an exit.\n\n\
         | case | what | outcome | longest | notes |\n|---|---|---|---|---|",
        beside.len(),
        counted.len()
    );
    for outcome in beside {
        let case = &outcome.case;
        let measured = counted.iter().find(|it| it.case.name == case.name);
        let longest = measured
            .map(Outcome::longest)
            .filter(|longest| *longest > 0)
            .map_or("–".to_owned(), |longest| longest.to_string());
        let ending = match case.expected.as_str() {
            "answered" => "answered as the architecture says",
            "reset" => "the VM started again",
            "off" => "the VM is off",
            _ => "the VM was stopped, alone",
        };
        // Of a race every run tells something else.
        let notes = measured.map_or(String::new(), |it| it.notes.join("; "));
        let _ = writeln!(
            text,
            "| `{}` | {} | {ending} | {longest} | {notes} |",
            case.name, case.what
        );
    }
    let _ = writeln!(
        text,
        "\n## Faults of EL2 itself (J3)\n\nProvoked by `images/el2-faults`, an image made for it. Each \
         stops the machine with a post-mortem.\n\n| fault | what | post-mortem |\n|---|---|---|"
    );
    for (fault, what, words) in EL2_FAULTS {
        let _ = writeln!(text, "| `{fault}` | {what} | \u{201c}{words}\u{201d} |");
    }
    text.push_str(HOST);
    text
}
