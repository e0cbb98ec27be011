//! SMC Calling Convention, PSCI and TRNG: decoding and fixed answers.

#![no_std]
