//! What surprised at these servers.
