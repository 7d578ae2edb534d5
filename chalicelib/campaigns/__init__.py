"""Campaigns: the customers' attribute in Cognito, written at its pace, and windows that end."""
