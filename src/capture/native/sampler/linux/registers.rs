//! The interrupted registers, as the kernel hands them to a handler.

use crate::capture::native::registers::Registers;

/// # Safety
/// `context` is what the kernel gave to a handler that was installed with `SA_SIGINFO`.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) unsafe fn interrupted(context: *const libc::ucontext_t) -> Registers {
    // SAFETY: the caller's promise; the fields exist in every such context.
    let general = unsafe { &(*context).uc_mcontext.gregs };
    let [ip, sp, fp] =
        [libc::REG_RIP, libc::REG_RSP, libc::REG_RBP].map(|register| general[register as usize].cast_unsigned());
    Registers { ip, sp, fp, lr: 0 }
}

/// # Safety
/// `context` is what the kernel gave to a handler that was installed with `SA_SIGINFO`.
#[cfg(target_arch = "aarch64")]
#[inline]
pub(super) unsafe fn interrupted(context: *const libc::ucontext_t) -> Registers {
    // SAFETY: the caller's promise; the fields exist in every such context.
    let machine = unsafe { &(*context).uc_mcontext };
    Registers { ip: machine.pc, sp: machine.sp, fp: machine.regs[29], lr: machine.regs[30] }
}

/// What lies below the stack pointer and is in use all the same: x86_64's red zone.
pub(super) const RED_ZONE: usize = if cfg!(target_arch = "x86_64") { 128 } else { 0 };
