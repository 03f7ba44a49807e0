//! What the code under test knows of the rest.

pub(crate) mod frame {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct FrameId(pub(crate) u32);
}

pub(crate) mod stack {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct StackWord(pub(crate) u64);
}
