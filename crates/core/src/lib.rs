//! vCPU life cycle, scheduling, mailboxes and the decisions on an exit.

#![no_std]
