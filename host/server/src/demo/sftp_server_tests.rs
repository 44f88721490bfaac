//! What the SFTP server answers, packet by packet.
