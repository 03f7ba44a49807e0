//! The registers that an unwinder starts from.

#![allow(unsafe_code)]

/// Where a thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Registers {
    /// The instruction pointer.
    pub(crate) ip: u64,
    /// The stack pointer.
    pub(crate) sp: u64,
    /// The frame pointer's register, whatever the code uses it for.
    pub(crate) fp: u64,
    /// The link register; 0 where the architecture has none.
    pub(crate) lr: u64,
}

impl Registers {
    /// Those of the function that it is inlined into.
    #[cfg(all(native_capture, target_arch = "x86_64"))]
    #[inline(always)]
    pub(crate) fn here() -> Self {
        let (ip, sp, fp): (u64, u64, u64);
        // SAFETY: the three instructions only read registers; they touch neither memory, stack nor flags.
        unsafe {
            std::arch::asm!(
                "lea {ip}, [rip]",
                "mov {sp}, rsp",
                "mov {fp}, rbp",
                ip = out(reg) ip,
                sp = out(reg) sp,
                fp = out(reg) fp,
                options(nomem, nostack, preserves_flags)
            );
        }
        Self { ip, sp, fp, lr: 0 }
    }

    /// Those of the function that it is inlined into.
    #[cfg(all(native_capture, target_arch = "aarch64"))]
    #[inline(always)]
    pub(crate) fn here() -> Self {
        let (ip, sp, fp, lr): (u64, u64, u64, u64);
        // SAFETY: the four instructions only read registers; they touch neither memory, stack nor flags.
        unsafe {
            std::arch::asm!(
                "adr {ip}, .",
                "mov {sp}, sp",
                "mov {fp}, x29",
                "mov {lr}, x30",
                ip = out(reg) ip,
                sp = out(reg) sp,
                fp = out(reg) fp,
                lr = out(reg) lr,
                options(nomem, nostack, preserves_flags)
            );
        }
        Self { ip, sp, fp, lr }
    }

    /// The stack pointer alone.
    #[cfg(all(native_capture, target_arch = "x86_64"))]
    #[inline(always)]
    pub(crate) fn stack_pointer() -> u64 {
        let sp: u64;
        // SAFETY: the instruction only reads a register; it touches neither memory, stack nor flags.
        unsafe { std::arch::asm!("mov {sp}, rsp", sp = out(reg) sp, options(nomem, nostack, preserves_flags)) };
        sp
    }

    /// The stack pointer alone.
    #[cfg(all(native_capture, target_arch = "aarch64"))]
    #[inline(always)]
    pub(crate) fn stack_pointer() -> u64 {
        let sp: u64;
        // SAFETY: the instruction only reads a register; it touches neither memory, stack nor flags.
        unsafe { std::arch::asm!("mov {sp}, sp", sp = out(reg) sp, options(nomem, nostack, preserves_flags)) };
        sp
    }

    /// Nothing is known: an unwinder stops at once.
    #[cfg(not(native_capture))]
    #[inline(always)]
    pub(crate) fn here() -> Self {
        Self::default()
    }
}
