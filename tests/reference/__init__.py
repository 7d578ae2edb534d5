"""The rules of attribution told a second time, to hold the product to: a brute-force model, records, histories."""
