"""The formats of sound files: their endings, and what FFmpeg may take a file for."""

from __future__ import annotations

# of files that a folder is searched for; a file that is named is read whatever its ending
ENDINGS = (
    *(
        "aac",
        "ac3",
        "aif",
        "aifc",
        "aiff",
        "amr",
        "ape",
        "au",
        "avi",
        "caf",
        "eac3",
        "flac",
        "m4a",
        "m4b",
        "mka",
        "mkv",
        "mov",
    ),
    *("mp2", "mp3", "mp4", "mpc", "oga", "ogg", "opus", "rf64", "tta", "w64", "wav", "webm", "wma", "wv"),
)

# FFmpeg's demuxers for them. Those that open further files or addresses (concat, hls, dash) are not among them.
DEMUXERS = (
    *("aac", "ac3", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "dsf", "dts", "eac3", "flac", "flv", "g722"),
    *("iff", "loas", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "mp3", "mpc", "mpc8", "ogg", "sox", "tak", "tta"),
    *("voc", "w64", "wav", "wsd", "wv"),
)
