"""Payments that a provider posts to us over HTTP, signed.

`signing` who has signed it, and when · `message` what it says · `receiving` through the door,
then the answer · `listener` a few lines of HTTP
"""
