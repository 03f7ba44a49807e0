pub(super) fn would_kill(_signal: libc::c_int) -> bool {
    false
}
