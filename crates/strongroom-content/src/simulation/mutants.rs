//! Each way to break the protocol is noticed.
