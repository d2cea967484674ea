def check(answer, item):
    words = len(answer.split())
    return 0 < words <= item['note']
