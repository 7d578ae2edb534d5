"""The whole application on one machine: an emulated AWS as a child process, and pumps in place of Lambda's triggers.

Development only; nothing here is packaged to Lambda.
"""
