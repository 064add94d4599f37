//! One module per dialect; each converts, calls the core and converts back.
