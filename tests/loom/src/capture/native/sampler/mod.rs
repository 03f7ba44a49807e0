pub(crate) mod linux;
