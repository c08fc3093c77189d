//! Container image layers for Python.
