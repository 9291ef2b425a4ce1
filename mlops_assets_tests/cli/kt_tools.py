import time


def show(name, a):
    print(f"##### {name}: code {a.code}\n--- out\n{a.out[-3500:]}\n--- err\n{a.err[-2500:]}", flush=True)
def guard(name, f):
    t = time.time()
    try:
        show(name, f())
    except BaseException as e:
        import traceback
        print(f"##### {name} RAISED {type(e)}", "".join(traceback.format_exception(e))[-2500:], flush=True)
    print("seconds", round(time.time()-t,1))
