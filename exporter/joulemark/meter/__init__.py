"""Reads the devices, feeds the ledger, and keeps both going."""
