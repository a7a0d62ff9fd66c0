"""Do files that we separate hold the numbers that Spleeter and Open-Unmix themselves give?"""
