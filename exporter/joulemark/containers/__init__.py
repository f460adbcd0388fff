"""Containers that say by their labels which stage they are: booked from start to exit without any change to them."""
